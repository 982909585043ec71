// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Shim;

/// <summary>A failure that is reported to the runtime, as the error object <c>{cniVersion, code, msg, details}</c> on stdout.</summary>
/// <param name="code">Kind of failure, for programs.</param>
/// <param name="message">One sentence: what was wrong, what was expected, what to do.</param>
/// <param name="details">
/// What the message does not say: which call, and its status. Never repeats the message, because libcni prints both.
/// </param>
internal sealed class CniException(CniErrorCode code, string message, string details = "", Exception? innerException = null)
    : Exception(message, innerException)
{
    public CniErrorCode Code { get; } = code;
    public string Details { get; } = details;
}
