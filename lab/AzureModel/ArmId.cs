// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Lab.AzureModel;

/// <summary>
/// Ids of resources: <c>/subscriptions/S/resourceGroups/G/providers/NAMESPACE/TYPE/NAME[/TYPE/NAME]</c>. Two ids are the same if they
/// differ in case only.
/// </summary>
public static class ArmId
{
    public static StringComparer Comparer => StringComparer.OrdinalIgnoreCase;

    public static string InGroup(string subscription, string group, string rest) =>
        $"/subscriptions/{subscription}/resourceGroups/{group}/providers/{rest}";

    /// <summary>Name of the resource that an id ends with.</summary>
    public static string NameOf(string id) => id[(id.LastIndexOf('/') + 1)..];
}
