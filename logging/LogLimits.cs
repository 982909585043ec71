// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Logging;

/// <summary>Limits of a log line, in characters. Longer texts of other programs, such as the cloud or the kernel, are truncated.</summary>
public static class LogLimits
{
    public const int Message = 500;
    public const int Value = 500;

    /// <summary>Stack trace of a defect, the only longer value.</summary>
    public const int Stack = 4000;

    /// <summary>Maximum number of fields; further ones are dropped, and <c>truncated=true</c> is added.</summary>
    public const int Fields = 24;
}
