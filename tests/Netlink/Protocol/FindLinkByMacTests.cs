// SPDX-License-Identifier: Apache-2.0
using VpcCni.Netlink.Wire;
using Xunit;

namespace VpcCni.Netlink.Tests.Protocol;

/// <summary>Finding the owner of a MAC address that several links share.</summary>
public sealed class FindLinkByMacTests
{
    private static readonly MacAddress Mac = MacAddress.Parse("02:00:00:00:00:01");

    public sealed record Case(string Name, string? Found, params string[] Links)
    {
        public override string ToString() => Name;
    }

    public static TheoryData<Case> Cases =>
        [
            new Case("nothing", null),
            new Case("hardware alone", "eth1", "eth1:"),
            new Case("a veth alone", "v1", "v1:veth"),
            new Case("hardware before veth", "eth1", "v1:veth", "eth1:"),
            new Case("other virtual links before veth", "d1", "v1:veth", "d1:dummy"),
            new Case("hardware before the vlan on it", "eth1", "eth1:", "eth1.5:vlan:1"),
            new Case("a veth before the vlan on it", "v1", "v1:veth", "v1.5:vlan:1"),
            new Case("a bridge port before its bridge", "v1", "br0:bridge", "v1:veth"),
            new Case("a bridge alone", "br0", "br0:bridge"),
        ];

    [Theory]
    [MemberData(nameof(Cases))]
    public void FindLinkByMac_returns_the_owner(Case row)
    {
        ArgumentNullException.ThrowIfNull(row);
        Assert.Equal(row.Found, Netlink(row.Links).FindLinkByMac(Mac)?.Name);
    }

    [Theory]
    [InlineData("eth1:", "eth2:")]
    [InlineData("v1:veth", "v2:veth")]
    public void FindLinkByMac_with_several_owners_fails_and_names_them(params string[] links)
    {
        var failure = Assert.Throws<NetlinkException>(() => Netlink(links).FindLinkByMac(Mac));
        Assert.Equal(Errno.ENOTUNIQ, failure.Errno);
        Assert.All(links, link => Assert.Contains(link.Split(':')[0], failure.Message, StringComparison.Ordinal));
    }

    private static RouteNetlink Netlink(string[] links) =>
        new(
            new ScriptedTransport().Then(sent =>
                [
                    .. links.Select((link, index) => (object)Message(link, index + 1, sent[0].Sequence)),
                    ScriptedTransport.Done(sent[0].Sequence),
                ]
            )
        );

    private static byte[] Message(string link, int index, uint sequence)
    {
        string[] parts = link.Split(':');
        var writer = new MessageWriter(new byte[512], Rtm.RTM_NEWLINK, 0);
        writer.Append(new LinkHeader { Index = index });
        writer.Name(Ifla.IFLA_IFNAME, parts[0]);
        writer.Attribute(Ifla.IFLA_ADDRESS, Mac);
        if (parts.Length > 2)
            writer.Attribute(Ifla.IFLA_LINK, int.Parse(parts[2]));
        if (parts[1].Length > 0)
        {
            int info = writer.BeginNested(Ifla.IFLA_LINKINFO);
            writer.Name(Ifla.IFLA_INFO_KIND, parts[1]);
            writer.EndNested(info);
        }

        byte[] message = writer.ToArray();
        BitConverter.TryWriteBytes(message.AsSpan(8), sequence);
        BitConverter.TryWriteBytes(message.AsSpan(12), ScriptedTransport.Port);
        return message;
    }
}
