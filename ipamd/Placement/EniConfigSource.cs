// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.Placement;

/// <summary>
/// What the cluster says of the network that this node's pods shall be in (custom networking): which ENIConfig it names, and what that
/// says.
/// </summary>
internal abstract record EniConfigState
{
    private EniConfigState() { }

    /// <summary>
    /// Nobody can tell: not asked yet, no answer, not allowed to ask. Pods wait; after one that was good, that one counts for the
    /// interfaces that are there, and no new ones are made.
    /// </summary>
    /// <param name="Reason">Which of these; a clause for a person.</param>
    internal sealed record Unknown(string Reason) : EniConfigState;

    /// <summary>The cluster has no such ENIConfig, or one that names no subnet. A person has to act: pods are told at once.</summary>
    /// <param name="Name">Of the ENIConfig.</param>
    /// <param name="Reason">What is wrong and where the name comes from; a clause for a person.</param>
    internal sealed record Missing(string Name, string Reason) : EniConfigState;

    /// <summary>It is there. Whether the subnet is of any use to this node is not said with it.</summary>
    /// <param name="Name">Of the ENIConfig.</param>
    /// <param name="SubnetId">spec.subnet.</param>
    /// <param name="SecurityGroupIds">spec.securityGroups; empty: those of the primary interface.</param>
    internal sealed record Present(string Name, string SubnetId, IReadOnlyList<string> SecurityGroupIds) : EniConfigState
    {
        public bool Equals(Present? other) =>
            other is not null
            && Name == other.Name
            && SubnetId == other.SubnetId
            && SecurityGroupIds.SequenceEqual(other.SecurityGroupIds, StringComparer.Ordinal);

        public override int GetHashCode() => HashCode.Combine(Name, SubnetId, SecurityGroupIds.Count);
    }
}

/// <summary>
/// Where the pool learns the ENIConfig of this node. Whoever watches the cluster tells it, at any time and on any thread; once something
/// was known, it stays while the cluster cannot be asked.
/// </summary>
internal sealed class EniConfigSource
{
    private volatile EniConfigState _current = new EniConfigState.Unknown("the Kubernetes API has not been asked yet");

    public EniConfigState Current => _current;

    /// <summary>Called after every change, on the thread of <see cref="Tell"/>.</summary>
    public Action Changed { get; set; } = () => { };

    public void Tell(EniConfigState state)
    {
        if (state.Equals(_current))
            return;
        _current = state;
        Changed();
    }
}
