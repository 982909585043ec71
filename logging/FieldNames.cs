// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Logging;

/// <summary>Names of log fields that both programs write. Other fields exist; each name has the same meaning in every line.</summary>
public static class FieldNames
{
    public const string Time = "time";
    public const string Level = "level";
    public const string Message = "msg";

    /// <summary>namespace/name of the pod.</summary>
    public const string Pod = "pod";

    /// <summary>CNI_CONTAINERID, the id of the sandbox.</summary>
    public const string ContainerId = "containerId";

    /// <summary>CNI_IFNAME, the interface in the pod.</summary>
    public const string InterfaceName = "ifName";

    /// <summary>Name of the network configuration.</summary>
    public const string Network = "network";

    /// <summary>Path of the pod's network namespace.</summary>
    public const string Netns = "netns";

    /// <summary>CNI_COMMAND.</summary>
    public const string Command = "command";

    /// <summary>An address, or several separated by commas.</summary>
    public const string Ip = "ip";

    /// <summary>A network interface of the cloud.</summary>
    public const string Eni = "eni";

    /// <summary>A link of the host.</summary>
    public const string Link = "link";

    /// <summary>The error, in the words of the program that reported it.</summary>
    public const string Error = "error";

    /// <summary>Kind of an expected failure, for programs.</summary>
    public const string Kind = "kind";

    /// <summary>Error code of the cloud or of the CNI specification.</summary>
    public const string Code = "code";

    /// <summary>Stack trace of a defect; never of an expected failure.</summary>
    public const string Stack = "stack";
}
