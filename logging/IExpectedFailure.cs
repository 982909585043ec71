// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Logging;

/// <summary>
/// An exception for something that another program rejected or failed to do. Its message and kind are logged, never its stack trace.
/// </summary>
public interface IExpectedFailure
{
    /// <summary>Kind of the failure, for programs.</summary>
    string FailureKind { get; }

    /// <summary>Request id by which the other program identifies the call; null if it gave none.</summary>
    string? RequestId { get; }
}
