// SPDX-License-Identifier: Apache-2.0
using System.Globalization;
using System.Text.Json.Nodes;

namespace VpcCni.Lab.KubeApi.Store;

/// <summary>Columns of the built-in kinds in <c>kubectl get</c> and <c>kubectl get -o wide</c>.</summary>
internal static class BuiltInColumns
{
    private const string None = "<none>";
    private const string RoleLabel = "node-role.kubernetes.io/";

    public static IReadOnlyList<PrinterColumn> Namespaces { get; } =
    [PrinterColumn.Name, Text("Status", o => o.Text("status", "phase")), PrinterColumn.Age];

    public static IReadOnlyList<PrinterColumn> Nodes { get; } =
    [
        PrinterColumn.Name,
        Text("Status", NodeStatus),
        Text("Roles", Roles),
        PrinterColumn.Age,
        Text("Version", o => o.Text("status", "nodeInfo", "kubeletVersion")),
        Wide("Internal-IP", o => Address(o, "InternalIP")),
        Wide("External-IP", o => Address(o, "ExternalIP")),
        Wide("OS-Image", o => OrUnknown(o.Text("status", "nodeInfo", "osImage"))),
        Wide("Kernel-Version", o => OrUnknown(o.Text("status", "nodeInfo", "kernelVersion"))),
        Wide("Container-Runtime", o => OrUnknown(o.Text("status", "nodeInfo", "containerRuntimeVersion"))),
    ];

    public static IReadOnlyList<PrinterColumn> Pods { get; } =
    [
        PrinterColumn.Name,
        Text(
            "Ready",
            o =>
                $"{o.Objects("status", "containerStatuses").Count(status => status.Flag("ready"))}/"
                + $"{o.Objects("spec", "containers").Count()}"
        ),
        Text("Status", PodStatus),
        Text(
            "Restarts",
            o =>
                o.Objects("status", "containerStatuses")
                    .Sum(status => (int?)status["restartCount"] ?? 0)
                    .ToString(CultureInfo.InvariantCulture)
        ),
        PrinterColumn.Age,
        Wide("IP", o => OrNone(o.Text("status", "podIP"))),
        Wide("Node", o => OrNone(o.Text("spec", "nodeName"))),
        Wide("Nominated Node", o => OrNone(o.Text("status", "nominatedNodeName"))),
        Wide("Readiness Gates", _ => None),
    ];

    public static IReadOnlyList<PrinterColumn> Events { get; } =
    [
        new("Last Seen", "string", 0, (o, now) => HumanDuration.Since(LastSeen(o), now)),
        Text("Type", o => o.Text("type")),
        Text("Reason", o => o.Text("reason")),
        Text("Object", o => Involved(o) is { } about ? $"{about.Text("kind").ToLowerInvariant()}/{about.Text("name")}" : ""),
        Wide("Subobject", o => Involved(o).Text("fieldPath")),
        Wide("Source", Source),
        Text("Message", o => First(o.Text("message"), o.Text("note")).Trim()),
        new(
            "First Seen",
            "string",
            1,
            (o, now) => HumanDuration.Since(First(o.Text("firstTimestamp"), o.Text("deprecatedFirstTimestamp"), LastSeen(o)), now)
        ),
        new("Count", "string", 1, (o, _) => (o.At("series", "count") ?? o["count"] ?? o["deprecatedCount"])?.ToString() ?? "1"),
        PrinterColumn.Name with
        {
            Priority = 1,
        },
    ];

    public static IReadOnlyList<PrinterColumn> ConfigMaps { get; } =
    [
        PrinterColumn.Name,
        Text("Data", o => ((o["data"] as JsonObject)?.Count ?? 0).ToString(CultureInfo.InvariantCulture)),
        PrinterColumn.Age,
    ];

    public static IReadOnlyList<PrinterColumn> Definitions { get; } =
    [PrinterColumn.Name, Text("Created At", o => o.Text("metadata", "creationTimestamp"))];

    public static IReadOnlyList<PrinterColumn> Leases { get; } =
    [PrinterColumn.Name, Text("Holder", o => o.Text("spec", "holderIdentity")), PrinterColumn.Age];

    private static PrinterColumn Text(string title, Func<JsonObject, string> cell) => new(title, "string", 0, (o, _) => cell(o));

    private static PrinterColumn Wide(string title, Func<JsonObject, string> cell) => new(title, "string", 1, (o, _) => cell(o));

    private static string NodeStatus(JsonObject node)
    {
        var ready = node.Objects("status", "conditions").FirstOrDefault(condition => condition.Text("type") == "Ready").Text("status");
        var status = ready switch
        {
            "True" => "Ready",
            "" => "Unknown",
            _ => "NotReady",
        };
        return node.Flag("spec", "unschedulable") ? status + ",SchedulingDisabled" : status;
    }

    private static string Roles(JsonObject node)
    {
        var labels = node["metadata"]?["labels"] as JsonObject ?? [];
        var roles = labels
            .Select(pair => pair.Key)
            .Where(key => key.StartsWith(RoleLabel, StringComparison.Ordinal))
            .Select(key => key[RoleLabel.Length..])
            .Order(StringComparer.Ordinal);
        return OrNone(string.Join(',', roles));
    }

    private static string Address(JsonObject node, string type) =>
        OrNone(node.Objects("status", "addresses").FirstOrDefault(address => address.Text("type") == type).Text("address"));

    private static string PodStatus(JsonObject pod)
    {
        if (pod["metadata"]?["deletionTimestamp"] is not null)
            return "Terminating";
        var waiting = pod.Objects("status", "containerStatuses")
            .Select(status => status.Text("state", "waiting", "reason"))
            .FirstOrDefault(reason => reason.Length > 0);
        return First(waiting ?? "", pod.Text("status", "reason"), pod.Text("status", "phase"));
    }

    private static JsonNode? Involved(JsonObject @event) => @event["involvedObject"] ?? @event["regarding"];

    private static string LastSeen(JsonObject o) =>
        First(
            o.Text("series", "lastObservedTime"),
            o.Text("lastTimestamp"),
            o.Text("deprecatedLastTimestamp"),
            o.Text("eventTime"),
            o.Text("metadata", "creationTimestamp")
        );

    private static string Source(JsonObject o)
    {
        var source = o["source"] ?? o["deprecatedSource"];
        var component = First(source.Text("component"), o.Text("reportingComponent"), o.Text("reportingController"));
        var host = First(source.Text("host"), o.Text("reportingInstance"));
        return host.Length == 0 ? component : $"{component}, {host}";
    }

    private static string First(params ReadOnlySpan<string> texts)
    {
        foreach (var text in texts)
        {
            if (text.Length > 0)
                return text;
        }

        return "";
    }

    private static string OrNone(string text) => text.Length == 0 ? None : text;

    private static string OrUnknown(string text) => text.Length == 0 ? "<unknown>" : text;
}
