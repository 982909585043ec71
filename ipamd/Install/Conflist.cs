// SPDX-License-Identifier: Apache-2.0
using System.Text;
using System.Text.Json;

namespace VpcCni.Ipamd.Install;

/// <summary>
/// Renders and parses the runtime's network configuration. File name and network name are the reference's, so that the runtime's cached
/// results and the checkpoint's keys stay valid when a node is migrated. The plugin's file name differs, so that the reference's plugin can
/// stay for a migration back.
/// </summary>
internal static class Conflist
{
    public const string FileName = "10-aws.conflist";

    /// <summary>Copy of the replaced configuration of another network. Runtimes read only .conf, .conflist and .json.</summary>
    public const string KeptFileName = FileName + ".before-vpc-cni";

    public const string PluginType = "vpc-cni";

    /// <summary>Oldest CNI version with STATUS and GC.</summary>
    public const string StatusVersion = "1.1.0";

    /// <summary>CNI version that every runtime in use supports; libraries older than 1.2 read only the key cniVersion.</summary>
    private const string BaseVersion = "1.0.0";

    /// <summary>
    /// Types of plugins that this daemon and the AWS VPC CNI write themselves; they are rewritten from the settings, or dropped.
    /// </summary>
    private static readonly string[] WrittenTypes = [PluginType, "aws-cni", "egress-cni", "portmap", "bandwidth"];

    /// <summary>Renders the conflist, with the keys of the AWS VPC CNI, which also writes numbers as strings.</summary>
    /// <param name="options">Settings of the conflist.</param>
    /// <param name="chained">Other programs' plugins, called after this network's, in this order.</param>
    /// <param name="withStatus">
    /// Whether to offer 1.1.0, with which a runtime calls STATUS and GC. If one plugin of the chain does not support it, every ADD and DEL
    /// fails.
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
            if (options.V4Egress)
                json.WriteString("enableV4Egress", "true");
            if (options.V6Egress)
                json.WriteString("enableV6Egress", "true");
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

    /// <summary>Whether the conflist offers 1.1.0; false if it cannot be parsed.</summary>
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

    /// <summary>Returns the plugins that a rendered conflist calls, in order.</summary>
    public static IReadOnlyList<string> PluginsOf(InstallOptions options, IReadOnlyList<ChainedPlugin> chained) =>
        [PluginType, "portmap", .. options.Bandwidth ? (string[])["bandwidth"] : [], .. chained.Select(plugin => plugin.Type)];

    /// <summary>Returns the plugins that a conflist calls, in order; empty if it cannot be parsed.</summary>
    public static IReadOnlyList<string> PluginsOf(ReadOnlySpan<byte> content) =>
        [.. Plugins(content).Select(plugin => plugin.Type).Where(type => type.Length > 0)];

    /// <summary>Whether the conflist is this network's, of any version. False if that is uncertain, so that it is kept.</summary>
    public static bool IsOurs(ReadOnlySpan<byte> content) => Plugins(content) is [{ Type: PluginType }, ..];

    /// <summary>
    /// Returns the plugins that other programs, such as a mesh, appended to a conflist of this network or of the AWS VPC CNI; pods that
    /// start without them would bypass the mesh. Empty for any other network's conflist, whose plugins belong to that network.
    /// </summary>
    public static IReadOnlyList<ChainedPlugin> ChainedByOthers(ReadOnlySpan<byte> content)
    {
        var plugins = Plugins(content);
        return plugins is [{ Type: PluginType or "aws-cni" }, ..]
            ? [.. plugins.Where(plugin => plugin.Type.Length > 0 && !WrittenTypes.Contains(plugin.Type))]
            : [];
    }

    /// <summary>
    /// Returns all entries; empty if the content is not a list. Invalid Unicode is only detected when a string is read, and counts as no
    /// list.
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

    /// <summary>Returns the type of an entry; empty if it has none.</summary>
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
/// <param name="Type">File name of the plugin.</param>
/// <param name="Entry">The complete entry.</param>
internal sealed record ChainedPlugin(string Type, JsonElement Entry);
