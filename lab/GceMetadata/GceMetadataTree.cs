// SPDX-License-Identifier: Apache-2.0
using System.Globalization;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using VpcCni.Lab.GceApi;
using VpcCni.Lab.GceModel;

namespace VpcCni.Lab.GceMetadata;

/// <summary>
/// An instance's metadata (https://cloud.google.com/compute/docs/metadata/predefined-metadata-keys) as JSON with names in camel case, and
/// its other forms: paths with dashes, directory listings and text.
/// </summary>
internal static class GceMetadataTree
{
    public const string Scope = "https://www.googleapis.com/auth/cloud-platform";

    /// <summary>Lists that are directories with the numbers of their items.</summary>
    private static readonly HashSet<string> NumberedLists =
    [
        "networkInterfaces",
        "accessConfigs",
        "ipAliases",
        "forwardedIps",
        "targetInstanceIps",
    ];

    private static readonly JsonSerializerOptions Options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Builds the content of <c>computeMetadata/v1</c>.</summary>
    /// <param name="instance">The instance as the metadata server sees it.</param>
    /// <param name="subnetwork">The subnetwork of its interface.</param>
    /// <param name="options">The project.</param>
    public static JsonObject Build(GceInstance instance, GceSubnetwork subnetwork, GceWorldOptions options)
    {
        var project = $"projects/{options.ProjectNumber}";
        JsonObject Account() =>
            new()
            {
                ["aliases"] = new JsonArray("default"),
                ["email"] = options.ServiceAccount,
                ["scopes"] = new JsonArray(Scope),
            };
        return new JsonObject
        {
            ["instance"] = new JsonObject
            {
                ["attributes"] = new JsonObject(),
                ["cpuPlatform"] = "Intel Broadwell",
                ["description"] = "",
                ["hostname"] = $"{instance.Name}.{instance.Zone}.c.{options.Project}.internal",
                ["id"] = instance.Id,
                ["machineType"] = $"{project}/machineTypes/{instance.MachineType}",
                ["maintenanceEvent"] = "NONE",
                ["name"] = instance.Name,
                ["networkInterfaces"] = new JsonArray(Interface(instance.Interface, subnetwork, project)),
                ["preempted"] = "FALSE",
                ["serviceAccounts"] = new JsonObject { [options.ServiceAccount] = Account(), ["default"] = Account() },
                ["tags"] = new JsonArray(),
                ["zone"] = $"{project}/zones/{instance.Zone}",
            },
            ["project"] = new JsonObject
            {
                ["attributes"] = new JsonObject(),
                ["numericProjectId"] = options.ProjectNumber,
                ["projectId"] = options.Project,
            },
        };
    }

    /// <summary>Finds the node of a path such as <c>instance/network-interfaces/0/ip</c>; null if there is none.</summary>
    public static JsonNode? Find(JsonNode root, IEnumerable<string> segments)
    {
        JsonNode? node = root;
        foreach (var segment in segments)
        {
            node = node switch
            {
                JsonObject inner => inner.FirstOrDefault(pair => Dashed(pair.Key) == segment).Value,
                JsonArray items when IsDirectory(items) => int.TryParse(
                    segment,
                    NumberStyles.None,
                    CultureInfo.InvariantCulture,
                    out var index
                )
                && index < items.Count
                    ? items[index]
                    : null,
                _ => null,
            };
        }

        return node;
    }

    /// <summary>Whether a node is a directory. Other lists are leaves with one value per line.</summary>
    public static bool IsDirectory(JsonNode node) =>
        node switch
        {
            JsonObject => true,
            JsonArray => node.Parent is JsonObject && NumberedLists.Contains(node.GetPropertyName()),
            _ => false,
        };

    /// <summary>A directory's children, one per line, with a slash after directories.</summary>
    public static string Listing(JsonNode directory)
    {
        var text = new StringBuilder();
        if (directory is JsonObject inner)
        {
            foreach (var (name, child) in inner.OrderBy(pair => Dashed(pair.Key), StringComparer.Ordinal))
                text.Append(Dashed(name)).Append(child is not null && IsDirectory(child) ? "/\n" : "\n");
        }
        else
        {
            foreach (var (index, child) in directory.AsArray().Index())
                text.Append(index).Append(child is not null && IsDirectory(child) ? "/\n" : "\n");
        }

        return text.ToString();
    }

    /// <summary>A leaf's value; a list's values one per line.</summary>
    public static string LeafText(JsonNode leaf) =>
        leaf is JsonArray items ? string.Concat(items.Select(item => $"{item}\n")) : leaf.ToString();

    /// <summary>All leaves below a node, one per line: path, space, value.</summary>
    public static string RecursiveText(JsonNode node)
    {
        var text = new StringBuilder();
        void Append(string path, JsonNode? child)
        {
            if (child is JsonObject inner)
            {
                foreach (var (name, value) in inner)
                    Append(path.Length == 0 ? Dashed(name) : $"{path}/{Dashed(name)}", value);
            }
            else if (child is JsonArray items)
            {
                foreach (var (index, value) in items.Index())
                    Append(path.Length == 0 ? $"{index}" : $"{path}/{index}", value);
            }
            else
                text.Append(path).Append(' ').Append(child).Append('\n');
        }

        Append("", node);
        return text.ToString();
    }

    public static string Json(JsonNode node) => node.ToJsonString(Options);

    /// <summary>The ETag of a node: 16 hexadecimal digits that depend on its content.</summary>
    public static string Tag(JsonNode node) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(Json(node))).AsSpan(0, 8));

    private static JsonObject Interface(GceInterface nic, GceSubnetwork subnetwork, string project) =>
        new()
        {
            ["accessConfigs"] = new JsonArray(new JsonObject { ["externalIp"] = "", ["type"] = "ONE_TO_ONE_NAT" }),
            ["dnsServers"] = new JsonArray("169.254.169.254"),
            ["forwardedIps"] = new JsonArray(),
            ["gateway"] = subnetwork.Gateway.ToString(),
            ["ip"] = nic.Address.ToString(),
            ["ipAliases"] = new JsonArray([.. nic.AliasRanges.Select(alias => JsonValue.Create(alias.Range.ToString()))]),
            ["mac"] = nic.Mac,
            ["mtu"] = GceJson.GceInterfaceMtu,
            ["network"] = $"{project}/networks/{subnetwork.Network}",
            ["subnetmask"] = Mask(subnetwork.Range.PrefixLength),
            ["targetInstanceIps"] = new JsonArray(),
        };

    private static string Mask(int prefixLength) =>
        new IPAddress(BitConverter.GetBytes(IPAddress.HostToNetworkOrder((int)(uint.MaxValue << (32 - prefixLength))))).ToString();

    /// <summary>Converts camel case to words with dashes: <c>networkInterfaces</c> to <c>network-interfaces</c>.</summary>
    private static string Dashed(string name)
    {
        // An email address is a key, too.
        if (name.Contains('@', StringComparison.Ordinal))
            return name;
        var text = new StringBuilder(name.Length + 4);
        foreach (var letter in name)
        {
            if (char.IsAsciiLetterUpper(letter))
                text.Append('-').Append(char.ToLowerInvariant(letter));
            else
                text.Append(letter);
        }

        return text.ToString();
    }
}
