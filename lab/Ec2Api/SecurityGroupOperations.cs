// SPDX-License-Identifier: Apache-2.0
using VpcCni.Lab.VpcModel;

namespace VpcCni.Lab.Ec2Api;

/// <summary>Operations on the rules of security groups.</summary>
internal static class SecurityGroupOperations
{
    public static Func<VpcWorld, Action<Ec2Xml>> AuthorizeIngress(QueryRequest request) => Authorize(request, isEgress: false);

    public static Func<VpcWorld, Action<Ec2Xml>> AuthorizeEgress(QueryRequest request) => Authorize(request, isEgress: true);

    public static Func<VpcWorld, Action<Ec2Xml>> RevokeIngress(QueryRequest request) => Revoke(request, isEgress: false);

    public static Func<VpcWorld, Action<Ec2Xml>> RevokeEgress(QueryRequest request) => Revoke(request, isEgress: true);

    /// <summary>
    /// Writes the elements ipPermissions and ipPermissionsEgress of a group. Each item is a protocol and port range with all its peers.
    /// </summary>
    public static void WritePermissions(Ec2Xml xml, SecurityGroup group, string owner)
    {
        foreach (var (name, isEgress) in (ReadOnlySpan<(string, bool)>)[("ipPermissions", false), ("ipPermissionsEgress", true)])
        {
            var rules = group
                .Rules.Where(rule => rule.IsEgress == isEgress)
                .GroupBy(rule => (rule.Permission.Protocol, rule.Permission.FromPort, rule.Permission.ToPort));
            xml.List(
                name,
                rules,
                same =>
                {
                    WritePorts(xml, same.Key.Protocol, same.Key.FromPort, same.Key.ToPort);
                    xml.List(
                        "groups",
                        same.Where(rule => rule.Permission.IsGroup),
                        rule =>
                        {
                            xml.Value("userId", owner);
                            xml.Value("groupId", rule.Permission.Peer);
                            WriteDescription(xml, rule);
                        }
                    );
                    xml.List(
                        "ipRanges",
                        same.Where(rule => rule.Permission is { IsGroup: false, IsIpv6: false }),
                        rule =>
                        {
                            xml.Value("cidrIp", rule.Permission.Peer);
                            WriteDescription(xml, rule);
                        }
                    );
                    xml.List(
                        "ipv6Ranges",
                        same.Where(rule => rule.Permission.IsIpv6),
                        rule =>
                        {
                            xml.Value("cidrIpv6", rule.Permission.Peer);
                            WriteDescription(xml, rule);
                        }
                    );
                    xml.List("prefixListIds", Array.Empty<string>(), _ => { });
                }
            );
        }
    }

    private static Func<VpcWorld, Action<Ec2Xml>> Authorize(QueryRequest request, bool isEgress)
    {
        var id = GroupId(request);
        var rules = Rules(request);
        var tags = request.TagSpecification("security-group-rule");
        return world =>
        {
            var added = world.AuthorizeRules(id, isEgress, rules, tags);
            return WriteRules("securityGroupRuleSet", id, added, world.Options.OwnerId);
        };
    }

    private static Func<VpcWorld, Action<Ec2Xml>> Revoke(QueryRequest request, bool isEgress)
    {
        var id = GroupId(request);
        var permissions = Rules(request).Select(rule => rule.Permission).Distinct().ToArray();
        var ruleIds = request.List("SecurityGroupRuleId");
        return world =>
        {
            var revoked = world.RevokeRules(id, isEgress, permissions, ruleIds);
            return WriteRules("revokedSecurityGroupRuleSet", id, revoked, world.Options.OwnerId);
        };
    }

    /// <summary>Reads the group's id. Rejects a name, which EC2 accepts only for the default VPC; a lab has none.</summary>
    private static SecurityGroupId GroupId(QueryRequest request)
    {
        if (request.Text("GroupName") is { } name)
        {
            throw Ec2Faults.BadValue(
                $"Invalid value '{name}' for groupName. You may not reference Amazon VPC security groups by name. "
                    + "Please use the corresponding id for this operation."
            );
        }

        return new SecurityGroupId(request.Required("GroupId"));
    }

    /// <summary>Reads the rules in either form: a list of permissions with their peers, or the parameters of a single permission.</summary>
    private static List<NewRule> Rules(QueryRequest request)
    {
        List<NewRule> rules = [];
        foreach (var permission in request.Structures("IpPermissions"))
            rules.AddRange(Peers(permission));
        if (request.Text("IpProtocol") is not { } protocol)
            return rules;
        if (rules.Count > 0)
            throw Ec2Faults.BadCombination("The parameter ipPermissions may not be used with ipProtocol");
        var (from, to) = (request.Number("FromPort"), request.Number("ToPort"));
        return [new NewRule(RulePermission.Create(protocol, from, to, request.Required("CidrIp")), "")];
    }

    private static List<NewRule> Peers(QueryRequest permission)
    {
        var (protocol, from, to) = (permission.Required("IpProtocol"), permission.Number("FromPort"), permission.Number("ToPort"));
        List<NewRule> rules = [];
        foreach (
            var (list, member) in (ReadOnlySpan<(string, string)>)
                [("IpRanges", "CidrIp"), ("Ipv6Ranges", "CidrIpv6"), ("Groups", "GroupId")]
        )
        {
            foreach (var peer in permission.Structures(list))
            {
                if (list == "Groups")
                {
                    // The lab has one account and one VPC, so these select nothing.
                    _ = peer.Text("UserId");
                    _ = peer.Text("VpcId");
                }

                var text = peer.Required(member);
                if ((list == "Groups") != text.StartsWith("sg-", StringComparison.Ordinal))
                    throw Malformed(list == "Groups" ? $"'{text}' is not a security group ID" : $"CIDR block {text} is malformed");
                if ((list == "Ipv6Ranges") != (list != "Groups" && text.Contains(':', StringComparison.Ordinal)))
                    throw Ec2Faults.BadValue($"CIDR block {text} is malformed");
                rules.Add(new NewRule(RulePermission.Create(protocol, from, to, text), peer.Text("Description") ?? ""));
            }
        }

        return rules.Count > 0 ? rules : throw Malformed("a permission needs a range or a group");
    }

    private static Ec2FaultException Malformed(string why) => new("InvalidPermission.Malformed", $"The specified rule is malformed: {why}");

    private static Action<Ec2Xml> WriteRules(string name, SecurityGroupId group, IReadOnlyList<SecurityGroupRule> rules, string owner) =>
        xml =>
        {
            xml.Value("return", value: true);
            xml.List(
                name,
                rules,
                rule =>
                {
                    var permission = rule.Permission;
                    xml.Value("securityGroupRuleId", rule.Id);
                    xml.Value("groupId", group.Value);
                    xml.Value("groupOwnerId", owner);
                    xml.Value("isEgress", rule.IsEgress);
                    xml.Value("ipProtocol", permission.Protocol);
                    // For a permission without ports, EC2 writes -1 here, and no element in DescribeSecurityGroups.
                    xml.Value("fromPort", permission.FromPort ?? -1);
                    xml.Value("toPort", permission.ToPort ?? -1);
                    if (permission.IsGroup)
                    {
                        xml.Element(
                            "referencedGroupInfo",
                            () =>
                            {
                                xml.Value("groupId", permission.Peer);
                                xml.Value("userId", owner);
                            }
                        );
                    }
                    else
                    {
                        xml.Value(permission.IsIpv6 ? "cidrIpv6" : "cidrIpv4", permission.Peer);
                    }

                    WriteDescription(xml, rule);
                    xml.Tags(rule.Tags);
                }
            );
        };

    private static void WritePorts(Ec2Xml xml, string protocol, int? from, int? to)
    {
        xml.Value("ipProtocol", protocol);
        if (from is { } first)
            xml.Value("fromPort", first);
        if (to is { } last)
            xml.Value("toPort", last);
    }

    private static void WriteDescription(Ec2Xml xml, SecurityGroupRule rule)
    {
        if (rule.Description.Length > 0)
            xml.Value("description", rule.Description);
    }
}
