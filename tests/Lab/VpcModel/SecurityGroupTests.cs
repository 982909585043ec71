// SPDX-License-Identifier: Apache-2.0
using VpcCni.Lab.VpcModel;
using Xunit;

namespace VpcCni.Lab.Tests.VpcModel;

/// <summary>Tests rules of security groups: their identity and validation, and that a rejected call changes nothing.</summary>
public sealed class SecurityGroupTests
{
    private readonly TestWorld _test = new();

    private IEnumerable<RulePermission> Ingress =>
        _test.World.FindSecurityGroup(_test.Group.Id)!.Rules.Where(rule => !rule.IsEgress).Select(rule => rule.Permission);

    [Fact]
    public void Group_allows_all_egress_and_no_ingress_by_default()
    {
        var rule = Assert.Single(_test.Group.Rules);
        Assert.True(rule.IsEgress);
        Assert.Equal(RulePermission.All, rule.Permission);
        Assert.Equal(_test.Group.Id.Value.Replace("sg-", "sgr-", StringComparison.Ordinal), rule.Id);
    }

    [Theory]
    [InlineData("tcp", 22, 22, "10.1.2.3/8", "tcp 22-22 10.0.0.0/8")]
    [InlineData("6", 22, 80, "10.0.0.1/32", "tcp 22-80 10.0.0.1/32")]
    [InlineData("UDP", 0, 65535, "0.0.0.0/0", "udp 0-65535 0.0.0.0/0")]
    [InlineData("-1", 1, 2, "fd00:1::1/16", "-1 - fd00::/16")]
    [InlineData("all", null, null, "::/0", "-1 - ::/0")]
    [InlineData("icmp", null, null, "10.0.0.0/8", "icmp -1--1 10.0.0.0/8")]
    [InlineData("58", 128, 0, "::/0", "icmpv6 128-0 ::/0")]
    [InlineData("50", 1, 2, "10.0.0.0/8", "50 - 10.0.0.0/8")]
    public void Permission_is_stored_in_its_canonical_form(string protocol, int? from, int? to, string peer, string expected)
    {
        var permission = RulePermission.Create(protocol, from, to, peer);
        Assert.Equal(expected, $"{permission.Protocol} {permission.FromPort}-{permission.ToPort} {permission.Peer}");
    }

    [Theory]
    [InlineData("tcp", 22, 22, "10.0.0.0/33")]
    [InlineData("tcp", 22, 22, "10.0.0.0")]
    [InlineData("tcp", 22, 22, "10.0.0/8")]
    [InlineData("tcp", 22, 22, "fd00::/129")]
    [InlineData("tcp", 22, 22, "everywhere/0")]
    [InlineData("tcp", null, null, "10.0.0.0/8")]
    [InlineData("tcp", 90, 80, "10.0.0.0/8")]
    [InlineData("udp", 0, 65536, "10.0.0.0/8")]
    [InlineData("udp", -1, 5, "10.0.0.0/8")]
    [InlineData("256", null, null, "10.0.0.0/8")]
    [InlineData("sctpx", null, null, "10.0.0.0/8")]
    public void Malformed_permission_is_rejected(string protocol, int? from, int? to, string peer)
    {
        // "10.0.0/8" means 10.0.0.0 in an old notation, which EC2 does not accept.
        var refusal = Assert.Throws<Ec2FaultException>(() => RulePermission.Create(protocol, from, to, peer));
        Assert.Equal("InvalidParameterValue", refusal.Code);
    }

    [Fact]
    public void Authorize_with_an_existing_rule_adds_none_of_the_rules()
    {
        _test.World.AuthorizeRules(_test.Group.Id, isEgress: false, [Tcp(22)]);
        Refused(
            "InvalidPermission.Duplicate",
            () => _test.World.AuthorizeRules(_test.Group.Id, isEgress: false, [Tcp(23), Tcp(22) with { Description = "another" }])
        );
        Assert.Equal([Tcp(22).Permission], Ingress);
        Refused("InvalidParameterValue", () => _test.World.AuthorizeRules(_test.Group.Id, isEgress: false, [Tcp(23), Tcp(23)]));
        // The same permission in the other direction is another rule.
        _test.World.AuthorizeRules(_test.Group.Id, isEgress: true, [Tcp(22)]);
    }

    [Fact]
    public void Peer_group_must_exist()
    {
        Refused(
            "InvalidGroup.NotFound",
            () => _test.World.AuthorizeRules(_test.Group.Id, isEgress: false, [new NewRule(RulePermission.Create("tcp", 1, 1, "sg-0"), "")])
        );
        _test.World.AuthorizeRules(
            _test.Group.Id,
            isEgress: false,
            [new NewRule(RulePermission.Create("tcp", 1, 1, _test.Group.Id.Value), "")]
        );
        Assert.Single(Ingress);
        Refused("InvalidGroup.NotFound", () => _test.World.AuthorizeRules(new SecurityGroupId("sg-0"), isEgress: false, [Tcp(1)]));
    }

    [Fact]
    public void Revoke_removes_all_or_none_by_permission_and_by_id()
    {
        var added = _test.World.AuthorizeRules(_test.Group.Id, isEgress: false, [Tcp(1), Tcp(2), Tcp(3)]);
        Refused(
            "InvalidPermission.NotFound",
            () => _test.World.RevokeRules(_test.Group.Id, isEgress: false, [Tcp(1).Permission, Tcp(9).Permission], [])
        );
        Refused("InvalidPermission.NotFound", () => _test.World.RevokeRules(_test.Group.Id, isEgress: true, [Tcp(1).Permission], []));
        Refused(
            "InvalidSecurityGroupRuleId.NotFound",
            () => _test.World.RevokeRules(_test.Group.Id, isEgress: false, [Tcp(1).Permission], ["sgr-0"])
        );
        Refused("MissingParameter", () => _test.World.RevokeRules(_test.Group.Id, isEgress: false, [], []));
        Assert.Equal(3, Ingress.Count());
        Assert.Equal([added[0], added[1]], _test.World.RevokeRules(_test.Group.Id, isEgress: false, [Tcp(1).Permission], [added[1].Id]));
        Assert.Equal([Tcp(3).Permission], Ingress);
    }

    [Fact]
    public void Quota_of_rules_is_counted_for_each_direction_and_family()
    {
        _test.World.AuthorizeRules(_test.Group.Id, isEgress: false, [.. Enumerable.Range(0, 60).Select(Tcp)]);
        Refused("RulesPerSecurityGroupLimitExceeded", () => _test.World.AuthorizeRules(_test.Group.Id, isEgress: false, [Tcp(60)]));
        _test.World.AuthorizeRules(_test.Group.Id, isEgress: true, [Tcp(60)]);
        _test.World.AuthorizeRules(_test.Group.Id, isEgress: false, [new NewRule(RulePermission.Create("tcp", 60, 60, "::/0"), "")]);
    }

    private static NewRule Tcp(int port) => new(RulePermission.Create("tcp", port, port, "10.0.0.0/8"), "");

    private void Refused(string code, Action call)
    {
        var before = _test.World.FindSecurityGroup(_test.Group.Id);
        Assert.Equal(code, Assert.Throws<Ec2FaultException>(call).Code);
        Assert.Equal(before, _test.World.FindSecurityGroup(_test.Group.Id));
    }
}
