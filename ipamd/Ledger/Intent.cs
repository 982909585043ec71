// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Datapath;

namespace VpcCni.Ipamd.Ledger;

/// <summary>
/// A decided change of the cloud. It is recorded in the checkpoint before its first call and removed when its outcome is certain, so that
/// after a crash the next daemon run completes or undoes it. Every kind but <see cref="AssignBlocks"/> can be repeated from the start
/// without duplicate effect.
/// </summary>
/// <param name="Number">Unique within this node's checkpoint.</param>
/// <param name="At">When it was recorded.</param>
internal abstract record Intent(long Number, DateTimeOffset At)
{
    /// <summary>
    /// <see cref="At"/> on the clock of the current daemon run, which may differ after a restart. Ages are measured from here.
    /// </summary>
    public DateTimeOffset Since { get; init; } = At;

    /// <summary>A phrase for people, such as <c>remove eni-1</c>.</summary>
    public string Description =>
        this switch
        {
            AddInterface { IsUndoing: true } add => $"undo the addition of {add.Created}",
            AddInterface add => $"add an interface with {add.Blocks.Sum(request => request.Count)} blocks in {add.SubnetId}"
                + (add.Created is { } created ? $" ({created})" : ""),
            AssignBlocks assign => $"add {assign.Blocks.Count} blocks to {assign.Interface}",
            ReleaseBlocks release => $"release {release.Blocks.Count} blocks of {release.Interface}",
            RemoveInterface remove => $"remove {remove.Interface}",
            _ => throw new InvalidOperationException($"unknown intent {this}"),
        };

    /// <summary>Whether the change adds addresses.</summary>
    public bool IsGrowth => this is AssignBlocks or AddInterface;

    /// <summary>The interface concerned; null while it has not been created.</summary>
    public NetworkInterfaceId? InterfaceId =>
        this switch
        {
            AddInterface add => add.Created,
            AssignBlocks assign => assign.Interface,
            ReleaseBlocks release => release.Interface,
            RemoveInterface remove => remove.Interface,
            _ => throw new InvalidOperationException($"unknown intent {this}"),
        };

    /// <summary>Creates and attaches an interface and configures its link. Each completed stage is recorded.</summary>
    /// <param name="Number">See <see cref="Intent"/>.</param>
    /// <param name="At">
    /// See <see cref="Intent"/>. Also the interface's creation tag, since a repeated create call must have the same parameters.
    /// </param>
    /// <param name="Token">Client token: a repeated create call returns the interface of the first one.</param>
    /// <param name="SubnetId">The interface's subnet.</param>
    /// <param name="SecurityGroupIds">The interface's security groups.</param>
    /// <param name="Slot">Slot to attach it at.</param>
    /// <param name="Blocks">Blocks that the interface is created with: at most one request of each family.</param>
    internal sealed record AddInterface(
        long Number,
        DateTimeOffset At,
        string Token,
        string SubnetId,
        IReadOnlyList<string> SecurityGroupIds,
        Slot Slot,
        IReadOnlyList<BlockRequest> Blocks
    ) : Intent(Number, At)
    {
        /// <summary>The interface; null until the create call has returned.</summary>
        public NetworkInterfaceId? Created { get; init; }

        /// <summary>The attachment's id; null until the attach call has returned.</summary>
        public string? AttachmentId { get; init; }

        /// <summary>Whether the addition is being undone: the interface is to be detached and deleted.</summary>
        public bool IsUndoing { get; init; }
    }

    /// <summary>Adds blocks to an interface. A repetition would add more, so an unknown outcome is resolved by observations.</summary>
    internal sealed record AssignBlocks(long Number, DateTimeOffset At, NetworkInterfaceId Interface, BlockRequest Blocks)
        : Intent(Number, At);

    /// <summary>Releases blocks. Their addresses are not assigned while it is open.</summary>
    internal sealed record ReleaseBlocks(long Number, DateTimeOffset At, NetworkInterfaceId Interface, IReadOnlyList<IPNetwork> Blocks)
        : Intent(Number, At);

    /// <summary>Detaches and deletes an interface. Its addresses are not assigned while it is open.</summary>
    /// <param name="Number">See <see cref="Intent"/>.</param>
    /// <param name="At">See <see cref="Intent"/>.</param>
    /// <param name="Interface">The interface.</param>
    /// <param name="AttachmentId">The attachment's id for the detach call.</param>
    /// <param name="Slot">The interface's slot, for the removal of its host rules.</param>
    /// <param name="PrimaryAddress">The interface's primary address, for the same purpose.</param>
    internal sealed record RemoveInterface(
        long Number,
        DateTimeOffset At,
        NetworkInterfaceId Interface,
        string AttachmentId,
        InterfaceSlot Slot,
        IPAddress PrimaryAddress
    ) : Intent(Number, At)
    {
        /// <summary>Whether the interface is detached and only has to be deleted.</summary>
        public bool IsDetached { get; init; }
    }
}

/// <summary>An intent without a certain outcome.</summary>
/// <param name="Intent">The change.</param>
/// <param name="IsRunning">Whether this daemon is executing it now.</param>
/// <param name="OutcomeUnknownSince">
/// When a call with a possible effect last ended without an answer, by a lost answer or a restart; null when none did.
/// </param>
internal readonly record struct OpenIntent(Intent Intent, bool IsRunning, DateTimeOffset? OutcomeUnknownSince);
