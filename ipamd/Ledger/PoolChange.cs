// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Datapath;

namespace VpcCni.Ipamd.Ledger;

/// <summary>
/// One change of the interfaces and blocks attached to this node, from the decision to the outcome: the planner makes it, an <see
/// cref="Intent"/> records it, the checkpoint keeps it, and it is executed as it is.
/// </summary>
internal abstract record PoolChange
{
    private PoolChange() { }

    /// <summary>A phrase for people, such as <c>remove eni-1</c>.</summary>
    public abstract string Description { get; }

    /// <summary>The interface concerned; null for one that is to be created.</summary>
    public virtual NetworkInterfaceId? InterfaceId => null;

    /// <summary>The blocks to be added: at most one request of each family. Empty unless the change is growth.</summary>
    public virtual IReadOnlyList<BlockRequest> Requests => [];

    /// <summary>The blocks to be released one by one; empty for a whole interface.</summary>
    public virtual IReadOnlyList<IPNetwork> Releases => [];

    /// <summary>Whether the change adds addresses.</summary>
    public bool IsGrowth => Requests.Count > 0;

    /// <summary>Takes the change apart: a new kind does not compile until every caller handles it.</summary>
    public abstract T Match<T>(
        Func<AssignBlocks, T> assign,
        Func<AddInterface, T> add,
        Func<ReleaseBlocks, T> release,
        Func<RemoveInterface, T> remove
    );

    /// <summary>Adds blocks to an interface. A repetition would add more, so an unknown outcome is resolved by observations.</summary>
    /// <param name="Interface">The interface.</param>
    /// <param name="SubnetId">Its subnet; empty when it was read from a checkpoint of an earlier version.</param>
    /// <param name="Blocks">The blocks.</param>
    internal sealed record AssignBlocks(NetworkInterfaceId Interface, string SubnetId, BlockRequest Blocks) : PoolChange
    {
        public override string Description => $"add {Blocks.Count} blocks to {Interface}";
        public override NetworkInterfaceId? InterfaceId => Interface;
        public override IReadOnlyList<BlockRequest> Requests => [Blocks];

        public override T Match<T>(
            Func<AssignBlocks, T> assign,
            Func<AddInterface, T> add,
            Func<ReleaseBlocks, T> release,
            Func<RemoveInterface, T> remove
        ) => assign(this);
    }

    /// <summary>Creates and attaches an interface and configures its link.</summary>
    /// <param name="Slot">Slot to attach it at.</param>
    /// <param name="SubnetId">Its subnet.</param>
    /// <param name="SecurityGroupIds">Its security groups.</param>
    /// <param name="Blocks">Blocks that it is created with: one request, or one of each family.</param>
    internal sealed record AddInterface(
        Slot Slot,
        string SubnetId,
        IReadOnlyList<string> SecurityGroupIds,
        IReadOnlyList<BlockRequest> Blocks
    ) : PoolChange
    {
        public override string Description =>
            $"add an interface with {Blocks.Sum(request => request.Count)} blocks as {Slot} in {SubnetId}";
        public override IReadOnlyList<BlockRequest> Requests => Blocks;

        public override T Match<T>(
            Func<AssignBlocks, T> assign,
            Func<AddInterface, T> add,
            Func<ReleaseBlocks, T> release,
            Func<RemoveInterface, T> remove
        ) => add(this);
    }

    /// <summary>Releases unused blocks. Their addresses are not assigned while the change is open.</summary>
    internal sealed record ReleaseBlocks(NetworkInterfaceId Interface, IReadOnlyList<IPNetwork> Blocks) : PoolChange
    {
        public override string Description => $"release {Blocks.Count} blocks of {Interface}";
        public override NetworkInterfaceId? InterfaceId => Interface;
        public override IReadOnlyList<IPNetwork> Releases => Blocks;

        public override T Match<T>(
            Func<AssignBlocks, T> assign,
            Func<AddInterface, T> add,
            Func<ReleaseBlocks, T> release,
            Func<RemoveInterface, T> remove
        ) => release(this);
    }

    /// <summary>Detaches and deletes an unused interface. Its addresses are not assigned while the change is open.</summary>
    /// <param name="Interface">The interface.</param>
    /// <param name="Slot">Its slot, for the removal of its host rules.</param>
    /// <param name="PrimaryAddress">Its primary address, for the same purpose.</param>
    internal sealed record RemoveInterface(NetworkInterfaceId Interface, Slot Slot, IPAddress PrimaryAddress) : PoolChange
    {
        public override string Description => $"remove {Interface}";
        public override NetworkInterfaceId? InterfaceId => Interface;

        public override T Match<T>(
            Func<AssignBlocks, T> assign,
            Func<AddInterface, T> add,
            Func<ReleaseBlocks, T> release,
            Func<RemoveInterface, T> remove
        ) => remove(this);
    }
}
