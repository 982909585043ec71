// SPDX-License-Identifier: Apache-2.0
using System.Collections.Immutable;

namespace VpcCni.Lab.VpcModel;

/// <summary>
/// Operations on the rules of security groups. The model stores and describes the rules; the fabric does not enforce them.
/// </summary>
public sealed partial class VpcWorld
{
    /// <summary>EC2's default quota of rules for each direction and family.</summary>
    private const int MaxRules = 60;
    private const int MaxRuleDescription = 255;

    /// <summary>AuthorizeSecurityGroupIngress and -Egress: adds all of the rules or none.</summary>
    /// <returns>The new rules.</returns>
    public IReadOnlyList<SecurityGroupRule> AuthorizeRules(
        SecurityGroupId id,
        bool isEgress,
        IReadOnlyList<NewRule> rules,
        IReadOnlyDictionary<string, string>? tags = null
    ) =>
        Call(
            isEgress ? "AuthorizeSecurityGroupEgress" : "AuthorizeSecurityGroupIngress",
            CallKind.Mutating,
            () =>
            {
                var group = GetGroup(id);
                if (rules.Count == 0)
                    throw Ec2Faults.Missing("ipPermissions");
                List<SecurityGroupRule> added = [];
                foreach (var rule in rules)
                {
                    if (rule.Description.Length > MaxRuleDescription)
                        throw Ec2Faults.BadValue(
                            $"Invalid rule description. Rule descriptions may be up to {MaxRuleDescription} characters"
                        );
                    if (rule.Permission.IsGroup)
                        _ = GetGroup(new SecurityGroupId(rule.Permission.Peer));
                    if (added.Any(other => other.Permission == rule.Permission))
                        throw Ec2Faults.BadValue("The same permission must not appear multiple times");
                    if (Find(group, isEgress, rule.Permission) is not null)
                        throw Ec2Faults.DuplicateRule(rule.Permission);
                    added.Add(
                        new SecurityGroupRule
                        {
                            Id = _ids.Next("sgr"),
                            IsEgress = isEgress,
                            Permission = rule.Permission,
                            Description = rule.Description,
                            Tags = CheckedTags(NoTags.Value, tags),
                        }
                    );
                }

                var after = group.Rules.AddRange(added);
                foreach (var isIpv6 in (bool[])[false, true])
                {
                    if (after.Count(rule => rule.IsEgress == isEgress && rule.Permission.IsIpv6 == isIpv6) > MaxRules)
                        throw new Ec2FaultException(
                            "RulesPerSecurityGroupLimitExceeded",
                            "The maximum number of rules per security group has been reached."
                        );
                }

                _groups[id] = group with { Rules = after };
                return (IReadOnlyList<SecurityGroupRule>)added;
            }
        );

    /// <summary>
    /// RevokeSecurityGroupIngress and -Egress: removes all of the rules or none. As in a VPC that is not the account's default one, a rule
    /// that does not exist is an error.
    /// </summary>
    /// <returns>The removed rules.</returns>
    public IReadOnlyList<SecurityGroupRule> RevokeRules(
        SecurityGroupId id,
        bool isEgress,
        IReadOnlyList<RulePermission> permissions,
        IReadOnlyList<string> ruleIds
    ) =>
        Call(
            isEgress ? "RevokeSecurityGroupEgress" : "RevokeSecurityGroupIngress",
            CallKind.Mutating,
            () =>
            {
                var group = GetGroup(id);
                if (permissions.Count == 0 && ruleIds.Count == 0)
                    throw Ec2Faults.Missing("ipPermissions");
                SecurityGroupRule[] revoked =
                [
                    .. permissions.Select(permission => Find(group, isEgress, permission) ?? throw Ec2Faults.NoSuchRule()),
                    .. ruleIds.Select(ruleId =>
                        group.Rules.FirstOrDefault(rule => rule.IsEgress == isEgress && rule.Id == ruleId)
                        ?? throw Ec2Faults.NoSuchRuleId(ruleId)
                    ),
                ];
                _groups[id] = group with { Rules = group.Rules.RemoveRange(revoked.Distinct()) };
                return (IReadOnlyList<SecurityGroupRule>)[.. revoked.Distinct()];
            }
        );

    /// <summary>
    /// Rules of a new group. Derives the rule's id from the group's instead of drawing one, so that rules do not change the sequence of ids
    /// that a seed gives.
    /// </summary>
    private static ImmutableArray<SecurityGroupRule> RulesOfNewGroup(SecurityGroupId id)
    {
        var ruleId = id.Value.Replace("sg-", "sgr-", StringComparison.Ordinal);
        return
        [
            new SecurityGroupRule
            {
                Id = ruleId,
                IsEgress = true,
                Permission = RulePermission.All,
            },
        ];
    }

    private static SecurityGroupRule? Find(SecurityGroup group, bool isEgress, RulePermission permission) =>
        group.Rules.FirstOrDefault(rule => rule.IsEgress == isEgress && rule.Permission == permission);

    private SecurityGroup GetGroup(SecurityGroupId id) => _groups.GetValueOrDefault(id) ?? throw Ec2Faults.NoSuchGroup(id.Value);
}
