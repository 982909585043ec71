// SPDX-License-Identifier: Apache-2.0
using Google.Protobuf;
using VpcCni.Ipamd.History;
using VpcCni.Ipamd.Options;
using VpcCni.Protos.V1;

namespace VpcCni.Ipamd.Cli;

/// <summary><c>ipamd status</c>: one screen, 80 columns.</summary>
internal static class StatusReport
{
    /// <summary>Where words begin, beside the labels.</summary>
    private const int Column = 11;

    /// <summary>Exit code: it serves pods, but not as well as it should.</summary>
    internal const int Degraded = 3;

    /// <summary>Every member is there, also those that are zero or empty: programs need not guess.</summary>
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

    /// <summary>The head: how well the node serves pods and, when it does not do so well, why.</summary>
    internal static void Head(TableWriter screen, Health health)
    {
        var level = health.Level.Replace('_', ' ').ToUpperInvariant();
        foreach (var (cause, index) in health.Causes.Select((cause, index) => (cause, index)))
            screen.Beside(index == 0 ? level : "", Column, $"{cause.Reason}: {cause.Detail}");
    }

    internal static string Text(GetStatusReply status)
    {
        var now = status.Now.ToDateTimeOffset();
        var screen = new TableWriter();
        Head(screen, status.Health);
        var head =
            $"{(status.Health.Causes.Count == 0 ? "READY" : "daemon"), -9}  {status.Phase}, started "
            + $"{DurationText.Ago(now - status.StartedAt.ToDateTimeOffset())}, ipamd {status.Version}";
        var clock = $"{now:HH:mm:ss}Z";
        screen.Row(head.Length + clock.Length < TableWriter.Width ? head.PadRight(TableWriter.Width - clock.Length) + clock : head);
        screen.Beside("node", Column, status.NodeId.Length > 0 ? $"{status.NodeId}, {status.InstanceType}" : "not identified yet");
        Pool(screen, status.Pool, status.Warnings);
        Line(screen, status.Line, now);
        Cloud(screen, status.Cloud, now);
        foreach (var obstacle in status.Obstacles)
            screen.Beside("obstacle", Column, $"{obstacle.About}: {obstacle.Detail}{Until(obstacle, now)}");
        // Those of the head are not said again.
        foreach (var problem in status.Problems.Skip(status.Health.Causes.Count))
            screen.Beside("problem", Column, problem);
        foreach (var warning in status.Warnings)
            screen.Beside("warning", Column, warning);
        foreach (var failure in status.Failures)
            screen.Beside(
                "failed",
                Column,
                $"{DurationText.Ago(now - failure.At.ToDateTimeOffset())}{(failure.Count > 1 ? $", {failure.Count} times" : "")}: "
                    + $"{failure.What}"
            );
        Interfaces(screen, status);
        return screen.ToString();
    }

    private static void Pool(TableWriter screen, Pool pool, IReadOnlyList<string> warnings)
    {
        screen.Beside(
            "addresses",
            Column,
            $"{pool.Total} attached: {pool.Assigned} assigned, {pool.Available} free, {pool.Cooling} "
                + $"cooling{(pool.CooldownEnds is { } end ? $" (the first until {end.ToDateTimeOffset():HH:mm:ss}Z)" : "")}"
        );
        if (pool.Surplus is { } surplus)
            screen.Beside("surplus", Column, SurplusText(surplus));
        var settings = pool
            .Settings.Where(setting => setting.OverruledBy.Length == 0)
            .Select(setting => $"{setting.Name}={setting.Value} ({setting.Source})");
        screen.Beside("targets", Column, string.Join(", ", settings));
        var overruled = pool.Settings.Where(setting => setting.OverruledBy.Length > 0 && IsChosen(setting));
        // Most are warned of already.
        foreach (
            var setting in overruled.Where(item => !warnings.Any(warning => warning.StartsWith($"{item.Name} ", StringComparison.Ordinal)))
        )
            screen.Beside("", Column, $"{setting.Name}={setting.Value} has no effect: {setting.OverruledBy}");
    }

    private static string SurplusText(Surplus surplus)
    {
        var interfaces = surplus.Interfaces switch
        {
            0 => "",
            1 => " and an interface",
            var count => $" and {count} interfaces",
        };
        var until = surplus.GoesAt is { } at ? $"; goes from {at.ToDateTimeOffset():HH:mm:ss}Z on" : "";
        return $"{surplus.Addresses} {(surplus.Addresses == 1 ? "address" : "addresses")}{interfaces} more than the targets ask for: "
            + $"{surplus.Why}{until}";
    }

    /// <summary>Manifests and charts set the defaults, too: nobody needs to hear that those have no effect.</summary>
    private static bool IsChosen(Setting setting) =>
        setting.Source == "environment" && OptionTable.All.FirstOrDefault(option => option.Name == setting.Name)?.Default != setting.Value;

    private static void Line(TableWriter screen, Line line, DateTimeOffset now)
    {
        if (line.Length == 0)
        {
            screen.Beside("waiting", Column, "no pod");
            return;
        }

        screen.Beside(
            "waiting",
            Column,
            $"{line.Length} {(line.Length == 1 ? "pod" : "pods")}, the first for {DurationText.Of(line.Longest.ToTimeSpan())}, until "
                + $"{DurationText.Of(line.NextDeadline.ToDateTimeOffset() - now)} from now; for {line.WaitsFor}"
        );
    }

    private static void Cloud(TableWriter screen, Protos.V1.Cloud cloud, DateTimeOffset now)
    {
        screen.Beside(
            "cloud",
            Column,
            $"access {cloud.Access}; "
                + $"{(cloud.ObservedAt is { } at ? $"described {DurationText.Ago(now - at.ToDateTimeOffset())}" : "not described yet")}; "
                + $"drift found: {cloud.DriftFound}"
        );
        screen.Beside("budget", Column, string.Join(", ", cloud.Budget.Select(Bucket)));
        foreach (var change in cloud.OpenChanges)
            screen.Beside("under way", Column, change);
    }

    private static string Bucket(CallBudget bucket) =>
        $"{bucket.Kind} {bucket.Tokens:0.#} of {bucket.Capacity:0}{(bucket.Waiting > 0 ? $", {bucket.Waiting} wait" : "")}";

    private static string Until(Obstacle obstacle, DateTimeOffset now) =>
        obstacle.Until is { } until
            ? $"; tried again in {DurationText.Of(until.ToDateTimeOffset() - now)}, at {until.ToDateTimeOffset():HH:mm:ss}Z"
            : "";

    private static void Interfaces(TableWriter screen, GetStatusReply status)
    {
        screen.Row("");
        screen.Row($"{"INTERFACE", -22} {"DEV", 3} {"PRIMARY", -15} {"TOTAL", 5} {"USED", 4} {"COOL", 4} {"FREE", 4}  STATE");
        foreach (var item in status.Interfaces.OrderBy(item => item.DeviceIndex))
            Interface(screen, item);
        screen.Row($"{status.Pool.Interfaces} of {status.Pool.InterfaceLimit} interfaces attached; at most {status.Pool.MaxPods} pods");
    }

    private static void Interface(TableWriter screen, NetworkInterface item)
    {
        var which = $"{item.Id, -22} {item.DeviceIndex, 3} {item.PrimaryAddress, -15}";
        var counts = $" {item.Total, 5} {item.Assigned, 4} {item.Cooling, 4} {item.Total - item.Assigned - item.Cooling, 4}  ";
        var room = TableWriter.Width - which.Length - counts.Length;
        if (item.State.Length <= room)
            screen.Row($"{which}{counts}{item.State}");
        // A long state says why there are no addresses to count.
        else if (item.Total == 0)
            screen.Row(which + item.State.PadLeft(TableWriter.Width - which.Length));
        else
            screen.Beside(which + counts.TrimEnd(), which.Length + counts.Length, item.State);
    }
}
