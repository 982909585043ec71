// SPDX-License-Identifier: Apache-2.0
using System.Globalization;
using System.Text;

namespace VpcCni.Netlink;

/// <summary>A request of a batch that the kernel rejected.</summary>
/// <param name="Index">Index in the batch, from 0.</param>
/// <param name="Operation">The equivalent <c>ip</c> command.</param>
/// <param name="ExtendedMessage">The kernel's error text (NLMSGERR_ATTR_MSG), if any.</param>
public sealed record NetlinkFailure(int Index, string Operation, Errno Errno, string? ExtendedMessage);

/// <summary>
/// The kernel rejected a request, did not answer (<see cref="Errno.ETIMEDOUT"/>), dropped the answer (<see cref="Errno.ENOBUFS"/>), or sent
/// a malformed answer (<see cref="Errno.EBADMSG"/>).
/// </summary>
public sealed class NetlinkException : IOException
{
    public NetlinkException(string operation, Errno errno, string? extendedMessage, Exception? innerException = null)
        : base(Describe(operation, errno, extendedMessage), innerException)
    {
        Operation = operation;
        Errno = errno;
        ExtendedMessage = extendedMessage;
        Failures = [new NetlinkFailure(0, operation, errno, extendedMessage)];
    }

    /// <summary>Reports a batch with at least one failure. The first failure determines operation and errno.</summary>
    public NetlinkException(IReadOnlyList<NetlinkFailure> failures, int succeeded)
        : base(Describe(failures, succeeded))
    {
        Operation = failures[0].Operation;
        Errno = failures[0].Errno;
        ExtendedMessage = failures[0].ExtendedMessage;
        Failures = failures;
        Succeeded = succeeded;
    }

    /// <summary>The operation that failed: the equivalent <c>ip</c> command, or the name of the system call.</summary>
    public string Operation { get; }

    public Errno Errno { get; }

    /// <summary>The kernel's error text (extended acknowledgement), if any.</summary>
    public string? ExtendedMessage { get; }

    /// <summary>Every rejected request of the batch, in order. The others took effect.</summary>
    public IReadOnlyList<NetlinkFailure> Failures { get; }

    /// <summary>Number of requests of the batch that took effect.</summary>
    public int Succeeded { get; }

    private static string Describe(string operation, Errno errno, string? extendedMessage) =>
        extendedMessage is null ? $"{operation}: {NameOf(errno)}" : $"{operation}: {NameOf(errno)}: {extendedMessage}";

    private static string Describe(IReadOnlyList<NetlinkFailure> failures, int succeeded)
    {
        var first = failures[0];
        var text = new StringBuilder(Describe(first.Operation, first.Errno, first.ExtendedMessage));
        int total = failures.Count + succeeded;
        if (total == 1)
            return text.ToString();
        text.Append(CultureInfo.InvariantCulture, $" (request {first.Index + 1} of {total}; {succeeded} succeeded");
        if (failures.Count > 1)
            text.Append(CultureInfo.InvariantCulture, $", {failures.Count - 1} more failed");
        return text.Append(')').ToString();
    }

    private static string NameOf(Errno errno) =>
        Enum.IsDefined(errno) ? errno.ToString() : string.Create(CultureInfo.InvariantCulture, $"errno {(int)errno}");
}
