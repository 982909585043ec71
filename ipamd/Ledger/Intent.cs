// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.Ledger;

/// <summary>How far a change of a whole interface has come.</summary>
internal enum IntentStage
{
    /// <summary>Nothing is known to be done.</summary>
    Begun,

    /// <summary>Addition: the interface exists and is not known to be attached.</summary>
    Created,

    /// <summary>Addition: the interface is attached; its link is not configured yet.</summary>
    Attached,

    /// <summary>Addition: the interface cannot be used and is being detached and deleted.</summary>
    Undoing,

    /// <summary>Removal: the interface is detached; only its deletion remains.</summary>
    Detached,
}

/// <summary>
/// A decided change of the pool. It is recorded in the checkpoint before its first call and removed when its outcome is certain, so that
/// after a crash the next daemon run completes or undoes it. Every kind but <see cref="PoolChange.AssignBlocks"/> can be repeated from the
/// start without duplicate effect.
/// </summary>
/// <param name="Number">Unique within this node's checkpoint.</param>
/// <param name="At">When it was recorded. A repeated creation sends the same time, since it must have the same parameters.</param>
/// <param name="Token">
/// Sent with every call that takes one, so that a repetition is the same call for the cloud: at most 64 ASCII characters. Empty for an
/// intent of an earlier version that no call needs it for.
/// </param>
/// <param name="Change">The change.</param>
internal sealed record Intent(long Number, DateTimeOffset At, string Token, PoolChange Change)
{
    /// <summary>
    /// <see cref="At"/> on the clock of the current daemon run, which may differ after a restart. Ages are measured from here.
    /// </summary>
    public DateTimeOffset Since { get; init; } = At;

    public IntentStage Stage { get; init; }

    /// <summary>The interface that an addition created; null before its creation is known.</summary>
    public NetworkInterfaceId? Created { get; init; }

    /// <summary>What the cloud's adapter needs to go on after a crash; only it can read this. Null for nothing.</summary>
    public string? Progress { get; init; }

    /// <summary>The interface concerned; null while it has not been created.</summary>
    public NetworkInterfaceId? InterfaceId => Change.InterfaceId ?? Created;

    /// <summary>Whether the change adds addresses, or did until it had to be undone.</summary>
    public bool IsGrowth => Change.IsGrowth;

    /// <summary>Whether the change will add its blocks when it succeeds.</summary>
    public bool IsAdding => Change.IsGrowth && Stage != IntentStage.Undoing;

    /// <summary>A phrase for people, such as <c>remove eni-1</c>.</summary>
    public string Description =>
        Created is not { } created ? Change.Description
        : Stage == IntentStage.Undoing ? $"undo the addition of {created}"
        : $"{Change.Description} ({created})";
}

/// <summary>An intent without a certain outcome.</summary>
/// <param name="Intent">The change.</param>
/// <param name="IsRunning">Whether this daemon is executing it now.</param>
/// <param name="OutcomeUnknownSince">
/// When a call with a possible effect last ended without an answer, by a lost answer or a restart; null when none did.
/// </param>
internal readonly record struct OpenIntent(Intent Intent, bool IsRunning, DateTimeOffset? OutcomeUnknownSince);
