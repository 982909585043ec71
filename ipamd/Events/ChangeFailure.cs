// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.HostNetwork;

namespace VpcCni.Ipamd.Events;

/// <summary>Why a change of the pool was not carried out, by the boundary that it failed at.</summary>
/// <param name="Reason">Cause, for people.</param>
/// <param name="Cause">The boundary's own error, for the log; null when there is none.</param>
internal abstract record ChangeFailure(string Reason, Exception? Cause)
{
    /// <summary>The error in the cloud's terms; null when the cloud was not the cause.</summary>
    public virtual CloudErrorKind? CloudKind => null;

    /// <summary>The cloud rejected a call or did not answer. The change is aborted, or its intent is open and resumed.</summary>
    internal sealed record Cloud(CloudException Exception) : ChangeFailure(Exception.Message, Exception)
    {
        public override CloudErrorKind? CloudKind => Exception.Kind;
    }

    /// <summary>The kernel rejected a link's configuration, or could not be read.</summary>
    internal sealed record Kernel(HostNetworkException Exception) : ChangeFailure(Exception.Message, Exception);

    /// <summary>The intent could not be written, so the change did not start.</summary>
    internal sealed record Disk(Exception Exception)
        : ChangeFailure($"not started because it could not be recorded: {Exception.Message}", Exception);

    /// <summary>The pool has moved on since the plan was made; the next plan takes that into account.</summary>
    internal sealed record Superseded(string Reason) : ChangeFailure(Reason, Cause: null);

    /// <summary>Ended by a stop of the daemon or by a defect; the change is resumed, by this run or the next.</summary>
    internal sealed record Interrupted() : ChangeFailure("interrupted", Cause: null);
}
