// SPDX-License-Identifier: Apache-2.0
using System.Net;

namespace VpcCni.Ipamd.Ledger;

/// <summary>
/// A change of the cloud that has been decided on. It is durable before the first call is made and goes away when its outcome is certain,
/// so that after a crash at any point between the two the next daemon finishes or undoes it. All kinds but <see cref="AssignBlocks"/> can
/// be carried out again from the beginning without doing anything twice.
/// </summary>
/// <param name="Number">Unique within this node's checkpoint.</param>
/// <param name="At">When it was recorded.</param>
internal abstract record Intent(long Number, DateTimeOffset At)
{
    /// <summary>
    /// <see cref="At"/>, moved to the clock of the run that has it now where the clock was set between two runs: how long ago it was is
    /// counted from here.
    /// </summary>
    public DateTimeOffset Since { get; init; } = At;

    /// <summary>For a person.</summary>
    public string Description =>
        this switch
        {
            AddInterface { IsUndoing: true } add => $"take back {add.Created}",
            AddInterface add =>
                $"add an interface with {add.Blocks.Count} blocks in {add.SubnetId}{(add.Created is { } created ? $" ({created})" : "")}",
            AssignBlocks assign => $"add {assign.Blocks.Count} blocks to {assign.Interface}",
            ReleaseBlocks release => $"give back {release.Blocks.Count} blocks of {release.Interface}",
            RemoveInterface remove => $"remove {remove.Interface}",
            _ => throw new InvalidOperationException($"unnamed intent {this}"),
        };

    /// <summary>It is to bring addresses.</summary>
    public bool IsGrowth => this is AssignBlocks or AddInterface;

    /// <summary>The interface that it is about; null while it has not been created.</summary>
    public NetworkInterfaceId? InterfaceId =>
        this switch
        {
            AddInterface add => add.Created,
            AssignBlocks assign => assign.Interface,
            ReleaseBlocks release => release.Interface,
            RemoveInterface remove => remove.Interface,
            _ => throw new InvalidOperationException($"unnamed intent {this}"),
        };

    /// <summary>Create, attach and wire an interface. Each stage that is certain is recorded too.</summary>
    /// <param name="Number">See <see cref="Intent"/>.</param>
    /// <param name="At">
    /// See <see cref="Intent"/>; also the interface's creation tag, as a repeated create call must be the same call.
    /// </param>
    /// <param name="Token">What makes repeating the create call return the interface that the first one made.</param>
    /// <param name="SubnetId">Where.</param>
    /// <param name="SecurityGroupIds">Its security groups.</param>
    /// <param name="DeviceIndex">Where on the node.</param>
    /// <param name="Blocks">What it brings.</param>
    internal sealed record AddInterface(
        long Number,
        DateTimeOffset At,
        string Token,
        string SubnetId,
        IReadOnlyList<string> SecurityGroupIds,
        int DeviceIndex,
        BlockRequest Blocks
    ) : Intent(Number, At)
    {
        /// <summary>Known when the create call was answered.</summary>
        public NetworkInterfaceId? Created { get; init; }

        /// <summary>Known when the attach call was answered.</summary>
        public string? AttachmentId { get; init; }

        /// <summary>It turned out to be of no use: what is left to do is to detach and delete it.</summary>
        public bool IsUndoing { get; init; }
    }

    /// <summary>Add blocks to an interface. Repeating it would add more, so when its outcome is in doubt, observations decide.</summary>
    internal sealed record AssignBlocks(long Number, DateTimeOffset At, NetworkInterfaceId Interface, BlockRequest Blocks)
        : Intent(Number, At);

    /// <summary>Give blocks back. Nobody gets an address of theirs while it is open.</summary>
    internal sealed record ReleaseBlocks(long Number, DateTimeOffset At, NetworkInterfaceId Interface, IReadOnlyList<IPNetwork> Blocks)
        : Intent(Number, At);

    /// <summary>Detach and delete an interface. Nobody gets an address of it while it is open.</summary>
    /// <param name="Number">See <see cref="Intent"/>.</param>
    /// <param name="At">See <see cref="Intent"/>.</param>
    /// <param name="Interface">Which.</param>
    /// <param name="AttachmentId">What the detach call names.</param>
    /// <param name="Place">Its place on the node, which says what has to be taken from the host's rules.</param>
    /// <param name="PrimaryAddress">Its own address, of which the same is true.</param>
    internal sealed record RemoveInterface(
        long Number,
        DateTimeOffset At,
        NetworkInterfaceId Interface,
        string AttachmentId,
        InterfaceSlot Place,
        IPAddress PrimaryAddress
    ) : Intent(Number, At)
    {
        /// <summary>The detachment is certain; what is left to do is to delete it.</summary>
        public bool IsDetached { get; init; }
    }
}

/// <summary>An intent whose outcome is not certain yet.</summary>
/// <param name="Intent">What was decided.</param>
/// <param name="IsRunning">This daemon carries it out now.</param>
/// <param name="DoubtSince">
/// When a call that may have had an effect was last left without an answer, by a lost answer or a restart; null when none was.
/// </param>
internal readonly record struct OpenIntent(Intent Intent, bool IsRunning, DateTimeOffset? DoubtSince);
