// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Lab.VpcModel;

/// <summary>A VPC's id, e.g. <c>vpc-0f3a…</c>.</summary>
public readonly record struct VpcId(string Value)
{
    public override string ToString() => Value;
}

/// <summary>A subnet's id, e.g. <c>subnet-0f3a…</c>.</summary>
public readonly record struct SubnetId(string Value)
{
    public override string ToString() => Value;
}

/// <summary>A security group's id, e.g. <c>sg-0f3a…</c>.</summary>
public readonly record struct SecurityGroupId(string Value)
{
    public override string ToString() => Value;
}

/// <summary>An instance's id, e.g. <c>i-0f3a…</c>.</summary>
public readonly record struct InstanceId(string Value)
{
    public override string ToString() => Value;
}

/// <summary>A network interface's id, e.g. <c>eni-0f3a…</c>.</summary>
public readonly record struct EniId(string Value)
{
    public override string ToString() => Value;
}

/// <summary>
/// The id of one attachment of an interface to an instance, e.g. <c>eni-attach-0f3a…</c>; a new one for every attachment.
/// </summary>
public readonly record struct AttachmentId(string Value)
{
    public override string ToString() => Value;
}
