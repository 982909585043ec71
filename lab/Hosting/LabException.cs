// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Lab.Hosting;

/// <summary>The lab cannot do what was asked. The message is for the user: what was wrong, what was expected, what to do.</summary>
internal sealed class LabException : Exception
{
    public LabException(string message)
        : base(message) { }

    public LabException(string message, Exception innerException)
        : base(message, innerException) { }
}
