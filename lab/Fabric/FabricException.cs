// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Lab.Fabric;

/// <summary>Building, changing or removing the fabric failed. The message says what was wrong, what was expected and what to do.</summary>
internal sealed class FabricException : Exception
{
    public FabricException(string message)
        : base(message) { }

    public FabricException(string message, Exception innerException)
        : base(message, innerException) { }
}
