// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Lab.Hosting;

/// <summary>The lab rejected or failed a request. The message tells the user what was wrong, what was expected and what to do.</summary>
internal sealed class LabException : Exception
{
    public LabException(string message)
        : base(message) { }

    public LabException(string message, Exception innerException)
        : base(message, innerException) { }
}
