// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.Cli;

/// <summary>An exit code of a command, as listed in its help.</summary>
/// <param name="Code">0 to 255.</param>
/// <param name="Meaning">A few words.</param>
internal readonly record struct ExitCode(int Code, string Meaning)
{
    public static implicit operator ExitCode((int Code, string Meaning) pair) => new(pair.Code, pair.Meaning);
}

/// <summary>Exit codes with the same meaning in every command. The help of each command explains 1 and 3.</summary>
internal static class ExitCodes
{
    public const int Done = 0;
    public const int Failed = 1;

    /// <summary>The daemon does not run, does not answer, or is another program.</summary>
    public const int NoAnswer = 2;

    /// <summary>The command line is invalid: EX_USAGE of sysexits.h. Differs from every code that is a result.</summary>
    public const int Usage = 64;
}
