// SPDX-License-Identifier: Apache-2.0
using Google.Protobuf;
using VpcCni.Protos.V1;

namespace VpcCni.Ipamd.Cli;

/// <summary><c>ipamd status</c>: one screen, 80 columns.</summary>
internal static class StatusReport
{
    public static async Task<int> WriteAsync(DaemonClient client, bool json, TextWriter output, TimeProvider time, CancellationToken cancellationToken)
    {
        var status = await client.Node.GetStatusAsync(new GetStatusRequest(), deadline: client.Deadline, cancellationToken: cancellationToken);
        await output.WriteAsync(json ? JsonFormatter.Default.Format(status) + "\n" : Text(status, time.GetUtcNow()));
        return status.Ready ? 0 : 1;
    }

    private static string Text(GetStatusReply status, DateTimeOffset now)
    {
        var text = new StringWriter { NewLine = "\n" };
        var pool = status.Pool;
        text.WriteLine($"{(status.Ready ? "ready" : "NOT READY")}  {status.Phase}, up {Span(now - status.StartedAt.ToDateTimeOffset())}, ipamd {status.Version}");
        text.WriteLine($"node       {(status.NodeId.Length > 0 ? $"{status.NodeId}, {status.InstanceType}" : "not identified yet")}");
        text.WriteLine($"addresses  {pool.Total} attached: {pool.Assigned} assigned, {pool.Available} free, {pool.Cooling} cooling; at most {pool.MaxPods} pods");
        text.WriteLine($"targets    {string.Join(" ", pool.Targets.OrderBy(item => item.Key, StringComparer.Ordinal).Select(item => $"{item.Key}={item.Value}"))}");
        if (status.Cloud is { } cloud)
        {
            text.WriteLine($"cloud      access {cloud.Access}; {(cloud.ObservedAt is { } at ? $"observed {Span(now - at.ToDateTimeOffset())} ago" : "not observed yet")}; drift found {cloud.DriftFound}");
            text.WriteLine($"budget     {string.Join(", ", cloud.Budget.Select(bucket => $"{bucket.Kind} {bucket.Tokens:0.#} of {bucket.Capacity:0}"))}");
            foreach (var change in cloud.OpenChanges) text.WriteLine($"under way  {change}");
        }

        if (status.WaitingAdds > 0) text.WriteLine($"waiting    {status.WaitingAdds} pods wait for an address");
        foreach (var problem in status.Problems) text.WriteLine($"problem    {problem}");
        text.WriteLine();
        text.WriteLine($"{"INTERFACE",-22} {"DEV",3} {"PRIMARY",-15} {"TOTAL",5} {"USED",4} {"COOL",4} {"FREE",4}  STATE");
        foreach (var item in status.Interfaces.OrderBy(item => item.DeviceIndex))
        {
            text.WriteLine($"{item.Id,-22} {item.DeviceIndex,3} {item.PrimaryAddress,-15} {item.Total,5} {item.Assigned,4} {item.Cooling,4} {item.Total - item.Assigned - item.Cooling,4}  {item.State}");
        }

        text.WriteLine($"{pool.Interfaces} of {pool.InterfaceLimit} interfaces attached");
        return text.ToString();
    }

    private static string Span(TimeSpan span) => span.TotalHours >= 1 ? $"{(int)span.TotalHours}h{span.Minutes:00}m" : span.TotalMinutes >= 1 ? $"{span.Minutes}m{span.Seconds:00}s" : $"{span.TotalSeconds:0.0}s";
}
