// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Lab.GceModel;

/// <summary>Group of a method, which selects its rate limit (https://cloud.google.com/compute/api-quota).</summary>
public enum GceCallKind
{
    Read,
    Mutation,

    /// <summary>Reads of operations.</summary>
    OperationRead,
}
