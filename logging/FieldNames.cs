// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Logging;

/// <summary>Names of fields that both programs write. Others exist, and each means the same in every line.</summary>
public static class FieldNames
{
    public const string Time = "time";
    public const string Level = "level";
    public const string Message = "msg";

    /// <summary>namespace/name of the pod.</summary>
    public const string Pod = "pod";

    /// <summary>CNI_CONTAINERID: the sandbox.</summary>
    public const string ContainerId = "containerId";

    /// <summary>CNI_IFNAME: the interface in the pod.</summary>
    public const string InterfaceName = "ifName";

    /// <summary>The name of the network configuration.</summary>
    public const string Network = "network";

    /// <summary>Path of the pod's network namespace.</summary>
    public const string Netns = "netns";

    /// <summary>CNI_COMMAND.</summary>
    public const string Command = "command";

    /// <summary>One address, or several with commas.</summary>
    public const string Ip = "ip";

    /// <summary>A network interface of the cloud.</summary>
    public const string Eni = "eni";

    /// <summary>An interface of the host.</summary>
    public const string Link = "link";

    /// <summary>What failed, in the words of who refused it.</summary>
    public const string Error = "error";

    /// <summary>The kind of an expected failure, for machines.</summary>
    public const string Kind = "kind";

    /// <summary>The code of an error, as the cloud or the CNI specification numbers it.</summary>
    public const string Code = "code";

    /// <summary>The stack of a defect; never of an expected failure.</summary>
    public const string Stack = "stack";
}
