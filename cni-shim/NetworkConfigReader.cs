// SPDX-License-Identifier: Apache-2.0
using System.Globalization;
using System.Text;
using System.Text.Json;
using VpcCni.Logging;

namespace VpcCni.Shim;

/// <summary>
/// Parses the configuration in three steps that fail with different codes: decode (6), version (1), everything else (7, with all
/// problems in one error). Unknown keys are ignored, as the specification requires.
/// </summary>
internal sealed class NetworkConfigReader
{
    private const string MultiNicAnnotation = "k8s.amazonaws.com/nicConfig";
    private const string MultiNicValue = "multi-nic-attachment";
    private static readonly string[] ReservedPrefixes = ["eth", "lo", "vlan"];

    private readonly JsonElement _root;
    private readonly List<string> _problems = [];
    private readonly List<string> _warnings = [];

    private NetworkConfigReader(JsonElement root) => _root = root;

    public static JsonElement Decode(ReadOnlyMemory<byte> json)
    {
        try
        {
            using var document = JsonDocument.Parse(json, new JsonDocumentOptions { MaxDepth = Limits.JsonDepth });
            if (document.RootElement.ValueKind != JsonValueKind.Object)
                throw new CniException(
                    CniErrorCode.Undecodable,
                    $"the network configuration on stdin is a JSON {document.RootElement.ValueKind}, expected an object"
                );
            return document.RootElement.Clone();
        }
        catch (JsonException exception)
        {
            var what = json.IsEmpty
                ? "stdin is empty, expected the network configuration"
                : "the network configuration on stdin is not valid JSON";
            throw new CniException(CniErrorCode.Undecodable, what, exception.Message, exception);
        }
    }

    /// <summary>Returns the configuration's version; without one 0.1.0, as in the reference library.</summary>
    public static CniVersion Version(JsonElement root)
    {
        try
        {
            return VersionOf(root);
        }
        catch (InvalidOperationException exception)
        {
            throw InvalidUnicode(exception);
        }
    }

    private static CniVersion VersionOf(JsonElement root)
    {
        if (!root.TryGetProperty("cniVersion", out var value) || value.ValueKind == JsonValueKind.Null)
            return CniVersion.V010;
        if (value.ValueKind != JsonValueKind.String)
            throw new CniException(
                CniErrorCode.Undecodable,
                $"cniVersion is a JSON {value.ValueKind}, expected a string such as \"{CniVersion.Newest}\""
            );
        var text = value.GetString()!;
        if (text.Length == 0)
            return CniVersion.V010;
        if (CniVersion.TryParse(text, out var version) && version.IsSupported)
            return version;
        throw new CniException(
            CniErrorCode.IncompatibleVersion,
            $"cniVersion '{Invocation.Printable(text)}' is not supported, expected one of {string.Join(", ", CniVersion.Supported)}"
        );
    }

    public static NetworkConfig Read(JsonElement root, CniVersion version, CniCommand command)
    {
        if (version < CniCommands.Since(command))
            throw new CniException(
                CniErrorCode.IncompatibleVersion,
                $"{command.ToString().ToUpperInvariant()} needs cniVersion {CniCommands.Since(command)} or later, the configuration "
                    + $"asks for {version}"
            );
        try
        {
            return new NetworkConfigReader(root).Read(version, command);
        }
        catch (InvalidOperationException exception)
        {
            throw InvalidUnicode(exception);
        }
    }

    /// <summary>A decoded document rejects half of a surrogate pair only when a value or a name is read.</summary>
    private static CniException InvalidUnicode(InvalidOperationException exception) =>
        new(
            CniErrorCode.Undecodable,
            "the network configuration on stdin has a string that is no valid Unicode",
            exception.Message,
            exception
        );

    private NetworkConfig Read(CniVersion version, CniCommand command)
    {
        var defaults = new NetworkConfig();
        var name = Text("name") ?? "";
        if (!Invocation.IsIdentifier(name))
            _problems.Add(
                name.Length == 0
                    ? "name: is missing"
                    : $"name: '{Invocation.Printable(name)}' must be a letter or digit, then letters, digits, '_', '.' or '-'"
            );
        if (name.Length > Limits.NameLength)
            _problems.Add($"name: has {name.Length} characters, at most {Limits.NameLength} are taken");
        if (string.IsNullOrEmpty(Text("type")))
            _problems.Add("type: is missing, expected the plugin's file name");

        var enforcing = Text("podSGEnforcingMode");
        if (enforcing is not (null or "" or "strict" or "standard"))
            _problems.Add($"podSGEnforcingMode: '{Invocation.Printable(enforcing)}', expected strict or standard");
        if (
            Object("runtimeConfig") is null
            && _root.TryGetProperty("runtimeConfig", out var runtime)
            && runtime.ValueKind != JsonValueKind.Null
        )
            _problems.Add($"runtimeConfig: is a JSON {runtime.ValueKind}, expected an object");

        var config = new NetworkConfig
        {
            Version = version,
            Name = name,
            VethPrefix = VethPrefix() ?? defaults.VethPrefix,
            Mtu = Number("mtu", least: 576, most: 9001) ?? defaults.Mtu,
            LogFile = LogFile(),
            LogLevel = LogLevel() ?? defaults.LogLevel,
            LogFormat = Format(),
            IpamdSocket = Socket() ?? defaults.IpamdSocket,
            IpamdTimeout = Number("ipamdTimeoutSeconds", least: 1, most: 300) is { } seconds
                ? TimeSpan.FromSeconds(seconds)
                : defaults.IpamdTimeout,
            IpamdWait = Number("ipamdWaitSeconds", least: 0, most: 300) is { } wait ? TimeSpan.FromSeconds(wait) : defaults.IpamdWait,
            StatusNeedsFreeAddress = Flag("statusNeedsFreeAddress"),
            V4Egress = Flag("enableV4Egress"),
            V6Egress = Flag("enableV6Egress"),
            PreviousResult = PreviousResult(command),
            RequiresMultiNic = RequiresMultiNic(),
            ValidAttachments = command == CniCommand.Gc ? Attachments() : null,
            Warnings = _warnings,
        };
        if (_problems.Count > 0)
            throw new CniException(CniErrorCode.InvalidConfiguration, $"invalid network configuration: {Invocation.Listed(_problems)}");
        return config;
    }

    private string? VethPrefix()
    {
        var prefix = Text("vethPrefix");
        if (string.IsNullOrEmpty(prefix))
            return null;
        if (prefix.Length > 4)
            _problems.Add(
                $"vethPrefix: '{Invocation.Printable(prefix)}' has {prefix.Length} characters, at most 4 leave room for the hash"
            );
        else if (Array.IndexOf(ReservedPrefixes, prefix) >= 0)
            _problems.Add($"vethPrefix: '{prefix}' is the prefix of other links (eth, lo and vlan are)");
        else if (Invocation.InterfaceNameProblem(prefix) is { } problem)
            _problems.Add($"vethPrefix: {problem}");
        return prefix;
    }

    private string LogFile()
    {
        var path = Text("pluginLogFile") ?? "";
        if (path is "" or "-" or "stderr" or "stdout" or "/dev/stderr" or "/dev/stdout")
            return "";
        if (!path.StartsWith('/'))
            _problems.Add($"pluginLogFile: '{Invocation.Printable(path)}' is not an absolute path, nor stderr");
        return path;
    }

    private PluginLogLevel? LogLevel()
    {
        var text = Text("pluginLogLevel");
        if (string.IsNullOrEmpty(text))
            return null;
        if (Enum.TryParse<PluginLogLevel>(text, ignoreCase: true, out var level) && !char.IsAsciiDigit(text[0]))
            return level;
        // As in the plugin of aws-node, the default is used: a log level must not take a node's network away.
        _warnings.Add($"pluginLogLevel '{Invocation.Printable(text)}' is unknown, expected DEBUG, INFO, WARN or ERROR; using DEBUG");
        return null;
    }

    private LogFormat Format()
    {
        var text = Text("pluginLogFormat");
        if (string.Equals(text, "json", StringComparison.OrdinalIgnoreCase))
            return LogFormat.Json;
        // Tolerated, as an unknown level is.
        if (!string.IsNullOrEmpty(text) && !string.Equals(text, "text", StringComparison.OrdinalIgnoreCase))
            _warnings.Add($"pluginLogFormat '{Invocation.Printable(text)}' is unknown, expected text or json; using text");
        return LogFormat.Text;
    }

    private string? Socket()
    {
        const int longest = 107; // sun_path, with its terminator, is 108 bytes
        var path = Text("ipamdSocket");
        if (string.IsNullOrEmpty(path))
            return null;
        if (!path.StartsWith('/'))
            _problems.Add($"ipamdSocket: '{Invocation.Printable(path)}' is not an absolute path");
        else if (Encoding.UTF8.GetByteCount(path) > longest)
            _problems.Add($"ipamdSocket: longer than the {longest} bytes that the kernel takes");
        return path;
    }

    private CniResult? PreviousResult(CniCommand command)
    {
        var present = _root.TryGetProperty("prevResult", out var value) && value.ValueKind != JsonValueKind.Null;
        if (!present)
        {
            if (command == CniCommand.Check)
                _problems.Add("prevResult: is missing, and CHECK needs it");
            return null;
        }
        // DEL removes what it can with a damaged cache. For the others a damaged prevResult is an error of the runtime or of an earlier
        // plugin.
        var into = command == CniCommand.Del ? _warnings : _problems;
        if (value.ValueKind == JsonValueKind.Object)
            return CniResultReader.Read(value, into);
        into.Add($"prevResult: is a JSON {value.ValueKind}, expected an object");
        return null;
    }

    private bool RequiresMultiNic() =>
        Object("runtimeConfig") is { } runtime
        && runtime.TryGetProperty("io.kubernetes.cri.pod-annotations", out var annotations)
        && annotations.ValueKind == JsonValueKind.Object
        && annotations.TryGetProperty(MultiNicAnnotation, out var value)
        && value.ValueKind == JsonValueKind.String
        && value.ValueEquals(MultiNicValue);

    /// <summary>libcni writes the specification's key and, from 1.2.3, an older one beside it; either is read.</summary>
    private List<ValidAttachment>? Attachments()
    {
        if (!_root.TryGetProperty("cni.dev/valid-attachments", out var list) && !_root.TryGetProperty("cni.dev/attachments", out list))
            return null;
        // libcni marshals an empty list as null: nothing is attached. A missing key means that the list is unknown.
        if (list.ValueKind == JsonValueKind.Null)
            return [];
        if (list.ValueKind != JsonValueKind.Array)
        {
            _problems.Add($"cni.dev/valid-attachments: is a JSON {list.ValueKind}, expected an array of {{containerID, ifname}}");
            return null;
        }
        var attachments = new List<ValidAttachment>(list.GetArrayLength());
        var position = 0;
        foreach (var item in list.EnumerateArray())
        {
            if (
                item.ValueKind == JsonValueKind.Object
                && item.TryGetProperty("containerID", out var id)
                && id.ValueKind == JsonValueKind.String
                && id.GetString() is { Length: > 0 } containerId
                && item.TryGetProperty("ifname", out var link)
                && link.ValueKind == JsonValueKind.String
                && link.GetString() is { Length: > 0 } interfaceName
            )
            {
                attachments.Add(new ValidAttachment(containerId, interfaceName));
            }
            else
            {
                // Without this entry, the address of a running pod would be released.
                _problems.Add($"cni.dev/valid-attachments[{position}]: expected an object with the strings containerID and ifname");
            }
            position++;
        }
        return attachments;
    }

    private string? Text(string key)
    {
        if (!_root.TryGetProperty(key, out var value) || value.ValueKind == JsonValueKind.Null)
            return null;
        if (value.ValueKind == JsonValueKind.String)
            return value.GetString();
        _problems.Add($"{key}: is a JSON {value.ValueKind}, expected a string");
        return null;
    }

    /// <summary>
    /// Returns a whole number, from a number or a string: the template of aws-node's conflist quotes everything.
    /// </summary>
    private int? Number(string key, int least, int most)
    {
        if (!_root.TryGetProperty(key, out var value) || value.ValueKind == JsonValueKind.Null)
            return null;
        var number = 0;
        var good = value.ValueKind switch
        {
            JsonValueKind.Number => value.TryGetInt32(out number),
            JsonValueKind.String when value.ValueEquals("") => false,
            JsonValueKind.String => int.TryParse(value.GetString(), NumberStyles.None, CultureInfo.InvariantCulture, out number),
            _ => false,
        };
        if (value.ValueKind == JsonValueKind.String && value.ValueEquals(""))
            return null; // an unset template variable
        if (good && number >= least && number <= most)
            return number;
        _problems.Add($"{key}: {Invocation.Printable(value.GetRawText())}, expected a whole number from {least} to {most}");
        return null;
    }

    /// <summary>Returns a boolean, from a boolean or its name as a string.</summary>
    private bool Flag(string key)
    {
        if (!_root.TryGetProperty(key, out var value) || value.ValueKind is JsonValueKind.Null or JsonValueKind.False)
            return false;
        if (value.ValueKind == JsonValueKind.True)
            return true;
        var text = value.ValueKind == JsonValueKind.String ? value.GetString()! : "?";
        if (text.Length == 0 || string.Equals(text, "false", StringComparison.OrdinalIgnoreCase))
            return false;
        if (string.Equals(text, "true", StringComparison.OrdinalIgnoreCase))
            return true;
        _problems.Add($"{key}: {Invocation.Printable(value.GetRawText())}, expected true or false");
        return false;
    }

    private JsonElement? Object(string key) =>
        _root.TryGetProperty(key, out var value) && value.ValueKind == JsonValueKind.Object ? value : null;
}
