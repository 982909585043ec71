// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Logging;

/// <summary>Bounds of one line, in characters. Texts of others (a cloud's message, a kernel's) are cut, whatever their length.</summary>
public static class LogLimits
{
    public const int Message = 500;
    public const int Value = 500;

    /// <summary>The stack of a defect: the only value that may be longer.</summary>
    public const int Stack = 4000;

    /// <summary>Fields of a line; those after are dropped, and <c>truncated=true</c> says so.</summary>
    public const int Fields = 24;
}
