// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;
using FsCheck;
using FsCheck.Fluent;
using VpcCni.Netlink.Wire;
using Xunit;

namespace VpcCni.Netlink.Tests.Wire;

/// <summary>Encodes and parses random requests. Requests and dumps share their layout, so a request is also a valid answer.</summary>
public sealed class RoundTripTests
{
    private static readonly Config Runs = Config.QuickThrowOnFailure.WithQuietOnSuccess(true).WithMaxTest(500);

    [Fact]
    public void Routes_survive_the_round_trip()
    {
        var routes =
            from family in Family()
            from destination in OrNull(Network(family))
            from gateway in Gen.OneOf(Address(family), Address(IpFamily.V6))
            from hasGateway in Bool()
            from link in Gen.Choose(0, int.MaxValue)
            from table in Gen.OneOf(Gen.Choose(0, 255), Gen.Choose(256, int.MaxValue))
            from scope in Gen.Elements(Enum.GetValues<RouteScope>())
            from protocol in Gen.Choose(0, 255)
            from type in Gen.Elements(Enum.GetValues<RouteType>())
            from metric in Gen.Choose(0, int.MaxValue)
            from source in Address(family)
            from mtu in Gen.Choose(0, 65535)
            from onLink in Bool()
            from hops in NextHop(family).ArrayOf()
            from multipath in Bool()
            select new RouteInfo
            {
                Family = family,
                Destination = destination,
                Gateway = hasGateway && !multipath ? gateway : null,
                LinkIndex = multipath && hops.Length > 0 ? 0 : link,
                Table = table,
                Scope = scope,
                Protocol = (RouteProtocol)protocol,
                Type = type,
                Metric = metric,
                PreferredSource = hasGateway ? source : null,
                Mtu = mtu == 0 ? null : mtu,
                OnLink = onLink,
                NextHops = multipath ? hops : [],
            };
        Prop.ForAll(
                Arb.From(routes),
                route => Assert.Equal(route, Fixture.ParseOne(RouteMessage.Change(Rtm.RTM_NEWROUTE, 0, route), RouteMessage.Parse))
            )
            .Check(Runs);
    }

    [Fact]
    public void Rules_survive_the_round_trip()
    {
        var rules =
            from family in Family()
            from source in OrNull(Network(family))
            from destination in OrNull(Network(family))
            from mark in Gen.Choose(0, int.MaxValue)
            from mask in Gen.Choose(1, int.MaxValue)
            from marked in Bool()
            from table in Gen.OneOf(Gen.Choose(0, 255), Gen.Choose(256, int.MaxValue))
            from priority in Gen.Choose(0, int.MaxValue)
            from input in Name()
            from output in Name()
            from named in Gen.Choose(0, 3)
            from invert in Bool()
            from action in Gen.Elements(Enum.GetValues<RuleAction>())
            from protocol in Gen.Choose(0, 255)
            select new RuleInfo
            {
                Family = family,
                Source = source,
                Destination = destination,
                Mark = marked ? (uint)mark : 0,
                MarkMask = marked ? (uint)mask : 0,
                Table = action is RuleAction.ToTable or RuleAction.Unspecified ? table : 0,
                Priority = priority,
                InputInterface = (named & 1) != 0 ? input : null,
                OutputInterface = (named & 2) != 0 ? output : null,
                Invert = invert,
                Action = action,
                Protocol = (RouteProtocol)protocol,
            };
        Prop.ForAll(
                Arb.From(rules),
                rule => Assert.Equal(rule, Fixture.ParseOne(RuleMessage.Change(Rtm.RTM_NEWRULE, 0, rule), RuleMessage.Parse))
            )
            .Check(Runs);
    }

    [Fact]
    public void Mark_without_a_mask_means_all_bits()
    {
        var rule = new RuleInfo { Family = IpFamily.V4, Mark = 7 };
        Assert.Equal(
            rule with
            {
                MarkMask = uint.MaxValue,
            },
            Fixture.ParseOne(RuleMessage.Change(Rtm.RTM_NEWRULE, 0, rule), RuleMessage.Parse)
        );
    }

    [Fact]
    public void Addresses_survive_the_round_trip()
    {
        var addresses =
            from family in Family()
            from address in Address(family)
            from length in Gen.Choose(0, IpFamily.Bits(family))
            from link in Gen.Choose(1, int.MaxValue)
            from scope in Gen.Elements(Enum.GetValues<AddressScope>())
            from noPrefixRoute in Bool()
            from noDad in Bool()
            select new AddressInfo
            {
                LinkIndex = link,
                Address = address,
                PrefixLength = length,
                Scope = scope,
                Flags = (noPrefixRoute ? AddressFlags.NoPrefixRoute : AddressFlags.None) | (noDad ? AddressFlags.NoDad : AddressFlags.None),
            };
        Prop.ForAll(
                Arb.From(addresses),
                address =>
                {
                    var options = new AddressOptions
                    {
                        Scope = address.Scope,
                        NoPrefixRoute = address.Flags.HasFlag(AddressFlags.NoPrefixRoute),
                        NoDad = address.Flags.HasFlag(AddressFlags.NoDad),
                    };
                    byte[] message = AddressMessage.Change(
                        Rtm.RTM_NEWADDR,
                        0,
                        address.LinkIndex,
                        address.Address,
                        address.PrefixLength,
                        options
                    );
                    Assert.Equal(address, Fixture.ParseOne(message, AddressMessage.Parse));
                }
            )
            .Check(Runs);
    }

    [Fact]
    public void Neighbours_survive_the_round_trip()
    {
        var neighbours =
            from family in Family()
            from address in Address(family)
            from mac in Mac()
            from link in Gen.Choose(1, int.MaxValue)
            from state in Gen.Elements(Enum.GetValues<NeighbourState>())
            from proxy in Bool()
            select new NeighbourInfo
            {
                LinkIndex = link,
                Address = address,
                Mac = proxy ? null : mac,
                State = state,
                Proxy = proxy,
            };
        Prop.ForAll(
                Arb.From(neighbours),
                neighbour =>
                    Assert.Equal(
                        neighbour,
                        Fixture.ParseOne(NeighbourMessage.Change(Rtm.RTM_NEWNEIGH, 0, neighbour), NeighbourMessage.Parse)
                    )
            )
            .Check(Runs);
    }

    [Fact]
    public void Both_ends_of_a_veth_request_survive_the_round_trip()
    {
        var specs =
            from name in Name()
            from peerName in Name()
            from mac in Mac()
            from peerMac in Mac()
            from mtu in Gen.Choose(68, 65535)
            from given in Bool()
            from up in Bool()
            select new VethSpec
            {
                Name = name,
                PeerName = peerName,
                Mac = given ? mac : null,
                PeerMac = given ? null : peerMac,
                Mtu = given ? null : mtu,
                PeerMtu = given ? mtu : null,
                Up = up,
            };
        Prop.ForAll(
                Arb.From(specs),
                spec =>
                {
                    byte[] message = LinkMessage.CreateVeth(spec, out int namespaceOffset);
                    Assert.Equal(0, namespaceOffset);
                    var link = Fixture.ParseOne(message, LinkMessage.Parse);
                    Assert.Equal(
                        new LinkInfo
                        {
                            Index = 0,
                            Name = spec.Name,
                            Mac = spec.Mac,
                            Mtu = spec.Mtu ?? 0,
                            Flags = spec.Up ? LinkFlags.Up : LinkFlags.None,
                            Kind = "veth",
                        },
                        link
                    );
                    Assert.Equal(
                        new LinkInfo
                        {
                            Index = 0,
                            Name = spec.PeerName,
                            Mac = spec.PeerMac,
                            Mtu = spec.PeerMtu ?? 0,
                        },
                        Peer(message)
                    );
                }
            )
            .Check(Runs);
    }

    [Fact]
    public void Mac_addresses_survive_the_round_trip_through_text() =>
        Prop.ForAll(Arb.From(Mac()), mac => Assert.Equal(mac, MacAddress.Parse(mac.ToString()))).Check(Runs);

    private static LinkInfo Peer(byte[] message)
    {
        byte[] peer = Find(
            Find(Find(message[(MessageHeader.Size + LinkHeader.Size)..], Ifla.IFLA_LINKINFO), Ifla.IFLA_INFO_DATA),
            Ifla.VETH_INFO_PEER
        );
        return Fixture.ParseOne(
            [
                .. BitConverter.GetBytes(MessageHeader.Size + peer.Length),
                .. BitConverter.GetBytes(Rtm.RTM_NEWLINK),
                .. new byte[10],
                .. peer,
            ],
            LinkMessage.Parse
        );
    }

    private static byte[] Find(byte[] attributes, ushort type)
    {
        var reader = new AttributeReader(attributes);
        while (reader.TryRead(out var attribute))
        {
            if (attribute.Type == type)
                return attribute.Value.ToArray();
        }

        throw new InvalidOperationException($"no attribute {type}");
    }

    private static Gen<AddressFamily> Family() => Gen.Elements(IpFamily.V4, IpFamily.V6);

    private static Gen<bool> Bool() => Gen.Elements(true, false);

    private static Gen<IPAddress> Address(AddressFamily family) =>
        Gen.Choose(0, 255).Select(octet => (byte)octet).ArrayOf(family == IpFamily.V4 ? 4 : 16).Select(octets => new IPAddress(octets));

    private static Gen<IPNetwork?> Network(AddressFamily family) =>
        from address in Address(family)
        from length in Gen.Choose(1, IpFamily.Bits(family))
        select (IPNetwork?)VpcCni.Netlink.Wire.Family.Network(address, length);

    private static Gen<NextHop> NextHop(AddressFamily family) =>
        from gateway in Address(family)
        from link in Gen.Choose(1, int.MaxValue)
        from weight in Gen.Choose(1, 256)
        from onLink in Bool()
        select new NextHop(gateway, link, weight, onLink);

    private static Gen<MacAddress> Mac() =>
        Gen.Choose(0, 255).Select(octet => (byte)octet).ArrayOf(MacAddress.Length).Select(octets => new MacAddress(octets));

    private static Gen<string> Name() =>
        from length in Gen.Choose(1, 15)
        from characters in Gen.Elements("abcdefghijklmnopqrstuvwxyz0123456789-_@".ToCharArray()).ArrayOf(length)
        select new string(characters);

    private static Gen<IPNetwork?> OrNull(Gen<IPNetwork?> networks) => Gen.OneOf(networks, Gen.Constant<IPNetwork?>(null));
}
