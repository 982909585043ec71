// SPDX-License-Identifier: Apache-2.0
using Google.Protobuf;
using VpcCni.Ipamd.History;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Options;
using VpcCni.Protos.V1;

namespace VpcCni.Ipamd.Cli;

/// <summary>Implements <c>ipamd status</c>: prints one table, 80 columns wide.</summary>
internal static class StatusReport
{
    /// <summary>Column of the text beside the labels.</summary>
    private const int Column = 11;

    /// <summary>Exit code: the node serves pods, but with a problem.</summary>
    internal const int Degraded = 3;

    /// <summary>Writes every member, even if zero or empty, so that programs need no defaults.</summary>
    internal static readonly JsonFormatter Json = new(JsonFormatter.Settings.Default.WithFormatDefaultValues(true));

    public static async Task<int> WriteAsync(DaemonClient client, bool json, TextWriter output, CancellationToken cancellationToken)
    {
        var status = await client.Node.GetStatusAsync(
            new GetStatusRequest(),
            deadline: client.Deadline,
            cancellationToken: cancellationToken
        );
        await output.WriteAsync(json ? Json.Format(status) + "\n" : Text(status));
        return ExitCodeOf(status.Health);
    }

    internal static int ExitCodeOf(Health health) =>
        health.Level switch
        {
            "ready" => ExitCodes.Done,
            "degraded" => Degraded,
            _ => ExitCodes.Failed,
        };

    /// <summary>Prints the head: the health of the node, with its causes.</summary>
    internal static void Head(TableWriter table, Health health)
    {
        var level = health.Level.Replace('_', ' ').ToUpperInvariant();
        foreach (var (cause, index) in health.Causes.Select((cause, index) => (cause, index)))
            table.WriteLabeled(index == 0 ? level : "", Column, $"{cause.Reason}: {cause.Detail}");
    }

    internal static string Text(GetStatusReply status)
    {
        var now = status.Now.ToDateTimeOffset();
        var table = new TableWriter();
        Head(table, status.Health);
        var head =
            $"{(status.Health.Causes.Count == 0 ? "READY" : "daemon"), -9}  {status.Phase}, started "
            + $"{DurationText.Ago(now - status.StartedAt.ToDateTimeOffset())}, ipamd {status.Version}";
        var clock = $"{now:HH:mm:ss}Z";
        table.WriteRow(head.Length + clock.Length < TableWriter.Width ? head.PadRight(TableWriter.Width - clock.Length) + clock : head);
        table.WriteLabeled("node", Column, status.NodeId.Length > 0 ? $"{status.NodeId}, {status.InstanceType}" : "not identified yet");
        Pool(table, status.Pool, status.Warnings);
        Line(table, status.Line, now);
        Cloud(table, status.Cloud, now);
        foreach (var obstacle in status.Obstacles)
            table.WriteLabeled("obstacle", Column, $"{obstacle.About}: {obstacle.Detail}{Until(obstacle, now)}");
        // Skips the problems that the head shows.
        foreach (var problem in status.Problems.Skip(status.Health.Causes.Count))
            table.WriteLabeled("problem", Column, problem);
        foreach (var warning in status.Warnings)
            table.WriteLabeled("warning", Column, warning);
        foreach (var failure in status.Failures)
            table.WriteLabeled(
                "failed",
                Column,
                $"{DurationText.Ago(now - failure.At.ToDateTimeOffset())}{(failure.Count > 1 ? $", {failure.Count} times" : "")}: "
                    + $"{failure.What}"
            );
        Interfaces(table, status);
        return table.ToString();
    }

    private static void Pool(TableWriter table, Pool pool, IReadOnlyList<string> warnings)
    {
        var cooling = pool.CooldownEnds is { } end ? $" (the first until {end.ToDateTimeOffset():HH:mm:ss}Z)" : "";
        if (pool.Families is [] or [{ IpVersion: 4 }])
            table.WriteLabeled(
                "addresses",
                Column,
                $"{pool.Total} attached: {pool.Assigned} assigned, {pool.Available} free, {pool.Cooling} cooling{cooling}"
            );
        else
            foreach (var (family, index) in pool.Families.Select((family, index) => (family, index)))
                table.WriteLabeled(
                    index == 0 ? "addresses" : "",
                    Column,
                    $"IPv{family.IpVersion}: {Count(family)} attached: {family.Assigned} assigned, {family.Cooling} cooling{cooling}"
                );
        if (pool.Families.Count > 1)
            table.WriteLabeled("", Column, $"free for {pool.Available} pods, each with an address of both families");
        if (pool.Surplus is { } surplus)
            table.WriteLabeled("surplus", Column, SurplusText(surplus));
        var settings = pool
            .Settings.Where(setting => setting.OverruledBy.Length == 0)
            .Select(setting => $"{setting.Name}={setting.Value} ({setting.Source})");
        table.WriteLabeled("targets", Column, string.Join(", ", settings));
        var overruled = pool.Settings.Where(setting => setting.OverruledBy.Length > 0 && IsChosen(setting));
        // Skips settings that a warning names.
        foreach (
            var setting in overruled.Where(item => !warnings.Any(warning => warning.StartsWith($"{item.Name} ", StringComparison.Ordinal)))
        )
            table.WriteLabeled("", Column, $"{setting.Name}={setting.Value} has no effect: {setting.OverruledBy}");
    }

    /// <summary>An IPv6 prefix has more addresses than are counted.</summary>
    private static string Count(FamilyCounts family) => family.Total >= BlockShape.MaxSize - 1 ? "a prefix" : $"{family.Total}";

    private static string SurplusText(Surplus surplus)
    {
        var interfaces = surplus.Interfaces switch
        {
            0 => "",
            1 => " and an interface",
            var count => $" and {count} interfaces",
        };
        var until = surplus.GoesAt is { } at ? $"; released from {at.ToDateTimeOffset():HH:mm:ss}Z on" : "";
        return $"{surplus.Addresses} {(surplus.Addresses == 1 ? "address" : "addresses")}{interfaces} beyond the targets: "
            + $"{surplus.Why}{until}";
    }

    /// <summary>
    /// Whether somebody chose the value. Manifests and charts set defaults, too, whose lack of effect is not worth a line.
    /// </summary>
    private static bool IsChosen(Setting setting) =>
        setting.Source == "environment" && OptionTable.All.FirstOrDefault(option => option.Name == setting.Name)?.Default != setting.Value;

    private static void Line(TableWriter table, Line line, DateTimeOffset now)
    {
        if (line.Length == 0)
        {
            table.WriteLabeled("waiting", Column, "no pod");
            return;
        }

        table.WriteLabeled(
            "waiting",
            Column,
            $"{line.Length} {(line.Length == 1 ? "pod" : "pods")}, the first for {DurationText.Of(line.Longest.ToTimeSpan())}, "
                + "the next times "
                + $"out in {DurationText.Of(line.NextDeadline.ToDateTimeOffset() - now)}; waiting for {line.WaitsFor}"
        );
    }

    private static void Cloud(TableWriter table, Protos.V1.Cloud cloud, DateTimeOffset now)
    {
        table.WriteLabeled(
            "cloud",
            Column,
            $"access {cloud.Access}; "
                + $"{(cloud.ObservedAt is { } at ? $"described {DurationText.Ago(now - at.ToDateTimeOffset())}" : "not described yet")}; "
                + $"drift found: {cloud.DriftFound}"
        );
        table.WriteLabeled("budget", Column, string.Join(", ", cloud.Budget.Select(Bucket)));
        foreach (var change in cloud.OpenChanges)
            table.WriteLabeled("under way", Column, change);
    }

    private static string Bucket(CallBudget bucket) =>
        $"{bucket.Kind} {bucket.Tokens:0.#} of {bucket.Capacity:0}{(bucket.Waiting > 0 ? $", {bucket.Waiting} wait" : "")}";

    private static string Until(Obstacle obstacle, DateTimeOffset now) =>
        obstacle.Until is { } until
            ? $"; retry in {DurationText.Of(until.ToDateTimeOffset() - now)}, at {until.ToDateTimeOffset():HH:mm:ss}Z"
            : "";

    private static void Interfaces(TableWriter table, GetStatusReply status)
    {
        table.WriteRow("");
        table.WriteRow($"{"INTERFACE", -22} {"DEV", 3} {"PRIMARY", -15} {"TOTAL", 5} {"USED", 4} {"COOL", 4} {"FREE", 4}  STATE");
        foreach (var item in status.Interfaces.OrderBy(item => item.DeviceIndex))
            Interface(table, item);
        table.WriteRow($"{status.Pool.Interfaces} of {status.Pool.InterfaceLimit} interfaces attached; at most {status.Pool.MaxPods} pods");
    }

    private static void Interface(TableWriter table, NetworkInterface item)
    {
        var which = $"{item.Id, -22} {item.DeviceIndex, 3} {item.PrimaryAddress, -15}";
        var counts = $" {item.Total, 5} {item.Assigned, 4} {item.Cooling, 4} {item.Total - item.Assigned - item.Cooling, 4}  ";
        var room = TableWriter.Width - which.Length - counts.Length;
        if (item.State.Length <= room)
            table.WriteRow($"{which}{counts}{item.State}");
        // A long state explains why the interface has no addresses.
        else if (item.Total == 0)
            table.WriteRow(which + item.State.PadLeft(TableWriter.Width - which.Length));
        else
            table.WriteLabeled(which + counts.TrimEnd(), which.Length + counts.Length, item.State);
    }
}
