// SPDX-License-Identifier: Apache-2.0
using System.Text;
using System.Text.Json;

namespace VpcCni.Ipamd.Install;

/// <summary>
/// The network configuration that the runtime reads. Name of file and network are the reference's, so that the runtime's cached results,
/// and the keys of the checkpoint, stay valid when a node is switched over; the plugin's file name is ours, so that the reference's plugin
/// stays beside it for the way back.
/// </summary>
internal static class Conflist
{
    public const string FileName = "10-aws.conflist";

    /// <summary>The copy of another's configuration that ours replaced. Runtimes read .conf, .conflist and .json only.</summary>
    public const string KeptFileName = FileName + ".before-vpc-cni";

    public const string PluginType = "vpc-cni";

    /// <summary>The oldest version with STATUS and GC.</summary>
    public const string StatusVersion = "1.1.0";

    /// <summary>Every runtime in use reads it, and libraries older than 1.2 read no other key than cniVersion.</summary>
    private const string BaseVersion = "1.0.0";

    /// <summary>
    /// What this daemon and the AWS VPC CNI write into their conflists: rewritten from the settings, or not wanted any more.
    /// </summary>
    private static readonly string[] WrittenTypes = [PluginType, "aws-cni", "egress-cni", "portmap", "bandwidth"];

    /// <summary>The keys of the AWS VPC CNI's conflist, which also writes numbers as strings.</summary>
    /// <param name="options">What it says.</param>
    /// <param name="chained">Of others, called after ours in this order.</param>
    /// <param name="withStatus">
    /// Also offers 1.1.0, whose STATUS and GC a runtime then calls. One plugin of the chain that does not support it makes every ADD and
    /// DEL fail.
    /// </param>
    public static byte[] Render(InstallOptions options, IReadOnlyList<ChainedPlugin> chained, bool withStatus)
    {
        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer, new JsonWriterOptions { Indented = true }))
        {
            json.WriteStartObject();
            json.WriteString("cniVersion", BaseVersion);
            if (withStatus)
            {
                json.WriteStartArray("cniVersions");
                json.WriteStringValue(BaseVersion);
                json.WriteStringValue(StatusVersion);
                json.WriteEndArray();
            }

            json.WriteString("name", "aws-cni");
            json.WriteBoolean("disableCheck", true);
            json.WriteStartArray("plugins");
            json.WriteStartObject();
            json.WriteString("name", "aws-cni");
            json.WriteString("type", PluginType);
            json.WriteString("vethPrefix", options.VethPrefix);
            json.WriteString("mtu", options.Mtu.ToString());
            json.WriteString("podSGEnforcingMode", options.EnforcingMode);
            json.WriteString("pluginLogFile", options.PluginLogFile);
            json.WriteString("pluginLogLevel", options.PluginLogLevel);
            if (options.PluginLogFormat != "text")
                json.WriteString("pluginLogFormat", options.PluginLogFormat);
            json.WriteString("ipamdSocket", options.SocketPath);
            WriteCapability(json, "io.kubernetes.cri.pod-annotations");
            json.WriteEndObject();
            json.WriteStartObject();
            json.WriteString("type", "portmap");
            WriteCapability(json, "portMappings");
            json.WriteBoolean("snat", true);
            json.WriteEndObject();
            if (options.Bandwidth)
            {
                json.WriteStartObject();
                json.WriteString("type", "bandwidth");
                WriteCapability(json, "bandwidth");
                json.WriteEndObject();
            }

            foreach (var plugin in chained)
                plugin.Entry.WriteTo(json);
            json.WriteEndArray();
            json.WriteEndObject();
        }

        return [.. buffer.ToArray(), .. "\n"u8];
    }

    /// <summary>Whether it offers 1.1.0 to the runtime; false for what cannot be read.</summary>
    public static bool HasStatus(ReadOnlySpan<byte> content)
    {
        try
        {
            using var document = JsonDocument.Parse(Encoding.UTF8.GetString(content));
            return document.RootElement.ValueKind == JsonValueKind.Object
                && document.RootElement.TryGetProperty("cniVersions", out var versions)
                && versions.ValueKind == JsonValueKind.Array
                && versions
                    .EnumerateArray()
                    .Any(version => version.ValueKind == JsonValueKind.String && version.ValueEquals(StatusVersion));
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return false;
        }
    }

    /// <summary>The plugins that a configuration made of these calls, in their order.</summary>
    public static IReadOnlyList<string> PluginsOf(InstallOptions options, IReadOnlyList<ChainedPlugin> chained) =>
        [PluginType, "portmap", .. options.Bandwidth ? (string[])["bandwidth"] : [], .. chained.Select(plugin => plugin.Type)];

    /// <summary>The plugins that it calls, in their order; none for what is not a list.</summary>
    public static IReadOnlyList<string> PluginsOf(ReadOnlySpan<byte> content) =>
        [.. Plugins(content).Select(plugin => plugin.Type).Where(type => type.Length > 0)];

    /// <summary>Is it one of ours, of this or another version? Undecided is no: what is not certainly ours is kept.</summary>
    public static bool IsOurs(ReadOnlySpan<byte> content) => Plugins(content) is [{ Type: PluginType }, ..];

    /// <summary>
    /// The plugins that others, a mesh for instance, appended to a conflist of ours or of the AWS VPC CNI: pods that start without them
    /// would bypass what they do. None in anybody else's conflist: those belong to that network.
    /// </summary>
    public static IReadOnlyList<ChainedPlugin> ChainedByOthers(ReadOnlySpan<byte> content)
    {
        var plugins = Plugins(content);
        return plugins is [{ Type: PluginType or "aws-cni" }, ..]
            ? [.. plugins.Where(plugin => plugin.Type.Length > 0 && !WrittenTypes.Contains(plugin.Type))]
            : [];
    }

    /// <summary>
    /// All entries; none of what is not a list. A document that is no valid Unicode is found out only when its strings are read: that is no
    /// list either.
    /// </summary>
    private static IReadOnlyList<ChainedPlugin> Plugins(ReadOnlySpan<byte> content)
    {
        try
        {
            using var document = JsonDocument.Parse(Encoding.UTF8.GetString(content));
            return
                document.RootElement.ValueKind == JsonValueKind.Object
                && document.RootElement.TryGetProperty("plugins", out var plugins)
                && plugins.ValueKind == JsonValueKind.Array
                ? [.. plugins.EnumerateArray().Select(plugin => new ChainedPlugin(TypeOf(plugin), plugin.Clone()))]
                : [];
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return [];
        }
    }

    /// <summary>Empty when there is none.</summary>
    private static string TypeOf(JsonElement plugin) =>
        plugin.ValueKind == JsonValueKind.Object && plugin.TryGetProperty("type", out var type) && type.ValueKind == JsonValueKind.String
            ? type.GetString()!
            : "";

    private static void WriteCapability(Utf8JsonWriter json, string name)
    {
        json.WriteStartObject("capabilities");
        json.WriteBoolean(name, true);
        json.WriteEndObject();
    }
}

/// <summary>An entry of a conflist that neither this daemon nor the AWS VPC CNI wrote.</summary>
/// <param name="Type">The file name of its plugin.</param>
/// <param name="Entry">The whole of it.</param>
internal sealed record ChainedPlugin(string Type, JsonElement Entry);
