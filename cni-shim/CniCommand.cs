// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Shim;

/// <summary>The commands of the CNI specification; flags, so that the environment table can name sets of them.</summary>
[Flags]
internal enum CniCommand
{
    None = 0,
    Add = 1,
    Del = 2,
    Check = 4,
    Gc = 8,
    Status = 16,
    Version = 32,
}

internal static class CniCommands
{
    public const string Known = "ADD, DEL, CHECK, GC, STATUS, VERSION";

    /// <summary>Case matters, as in the specification.</summary>
    public static CniCommand Parse(string name) =>
        name switch
        {
            "ADD" => CniCommand.Add,
            "DEL" => CniCommand.Del,
            "CHECK" => CniCommand.Check,
            "GC" => CniCommand.Gc,
            "STATUS" => CniCommand.Status,
            "VERSION" => CniCommand.Version,
            _ => CniCommand.None,
        };

    /// <summary>Returns the protocol version that introduced the command; a configuration of an older version cannot use it.</summary>
    public static CniVersion Since(CniCommand command) =>
        command switch
        {
            CniCommand.Check => CniVersion.V040,
            CniCommand.Gc or CniCommand.Status => CniVersion.V110,
            _ => CniVersion.V010,
        };
}
