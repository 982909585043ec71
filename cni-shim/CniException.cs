// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Shim;

/// <summary>A failure that the runtime is told about: becomes the error object <c>{cniVersion, code, msg, details}</c> on stdout.</summary>
/// <param name="code">What kind of failure, for machines.</param>
/// <param name="message">What was wrong, what was expected and what to do: one sentence.</param>
/// <param name="details">
/// What the message does not say: which call, what it answered. libcni prints message and details beside each other, so nothing is in both.
/// </param>
internal sealed class CniException(CniErrorCode code, string message, string details = "", Exception? innerException = null)
    : Exception(message, innerException)
{
    public CniErrorCode Code { get; } = code;
    public string Details { get; } = details;
}
