// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Logging;

/// <summary>An exception that says what others refused or could not do: its words and its kind are logged, never a stack.</summary>
public interface IExpectedFailure
{
    /// <summary>The kind of the failure, for machines.</summary>
    string FailureKind { get; }

    /// <summary>By which the other side finds the call; null if it gave none.</summary>
    string? RequestId { get; }
}
