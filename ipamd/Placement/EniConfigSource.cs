// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.Placement;

/// <summary>The ENIConfig of this node (custom networking), as the cluster defines it.</summary>
internal abstract record EniConfigState
{
    private EniConfigState() { }

    /// <summary>
    /// Unknown: not requested yet, no answer, or no permission. Pods wait. The last valid ENIConfig applies to existing interfaces, and no
    /// new ones are created.
    /// </summary>
    /// <param name="Reason">The cause; a clause for a person.</param>
    internal sealed record Unknown(string Reason) : EniConfigState;

    /// <summary>The cluster has no such ENIConfig, or it names no subnet. A person has to act, so ADDs fail at once.</summary>
    /// <param name="Name">Name of the ENIConfig.</param>
    /// <param name="Reason">What is wrong and where the name comes from; a clause for a person.</param>
    internal sealed record Missing(string Name, string Reason) : EniConfigState;

    /// <summary>The ENIConfig exists. Its subnet may still be unusable for this node.</summary>
    /// <param name="Name">Name of the ENIConfig.</param>
    /// <param name="SubnetId">spec.subnet.</param>
    /// <param name="SecurityGroupIds">spec.securityGroups; when empty, those of the primary interface apply.</param>
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
/// Holds this node's ENIConfig for the pool. The watcher of the cluster sets it, at any time and on any thread. A known ENIConfig stays
/// while the cluster cannot be read.
/// </summary>
/// <param name="changed">Called after every change, on the thread of <see cref="Set"/>.</param>
internal sealed class EniConfigSource(Action changed)
{
    private volatile EniConfigState _current = new EniConfigState.Unknown("the Kubernetes API has not answered yet");

    public EniConfigState Current => _current;

    /// <summary>Sets the state; no-op when it is equal to the current one.</summary>
    public void Set(EniConfigState state)
    {
        if (state.Equals(_current))
            return;
        _current = state;
        changed();
    }
}
