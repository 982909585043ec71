// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Lab.VpcModel;

/// <summary>A VPC's id, for example <c>vpc-0f3a…</c>.</summary>
public readonly record struct VpcId(string Value)
{
    public override string ToString() => Value;
}

/// <summary>A subnet's id, for example <c>subnet-0f3a…</c>.</summary>
public readonly record struct SubnetId(string Value)
{
    public override string ToString() => Value;
}

/// <summary>A route table's id, for example <c>rtb-0f3a…</c>.</summary>
public readonly record struct RouteTableId(string Value)
{
    public override string ToString() => Value;
}

/// <summary>A security group's id, for example <c>sg-0f3a…</c>.</summary>
public readonly record struct SecurityGroupId(string Value)
{
    public override string ToString() => Value;
}

/// <summary>An instance's id, for example <c>i-0f3a…</c>.</summary>
public readonly record struct InstanceId(string Value)
{
    public override string ToString() => Value;
}

/// <summary>A network interface's id, for example <c>eni-0f3a…</c>.</summary>
public readonly record struct EniId(string Value)
{
    public override string ToString() => Value;
}

/// <summary>
/// The id of an attachment of an interface to an instance, for example <c>eni-attach-0f3a…</c>. Every attachment has a new id.
/// </summary>
public readonly record struct AttachmentId(string Value)
{
    public override string ToString() => Value;
}
