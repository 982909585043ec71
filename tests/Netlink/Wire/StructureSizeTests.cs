// SPDX-License-Identifier: Apache-2.0
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using VpcCni.Netlink.Interop;
using VpcCni.Netlink.Wire;
using Xunit;

namespace VpcCni.Netlink.Tests.Wire;

/// <summary>
/// Compares sizes and offsets of the structures with the C originals (linux/netlink.h, linux/rtnetlink.h, sys/socket.h; 64-bit).
/// </summary>
public sealed class StructureSizeTests
{
    [Fact]
    public void Structures_have_the_size_of_their_originals()
    {
        Assert.Equal((16, MessageHeader.Size), (Unsafe.SizeOf<MessageHeader>(), 16));
        Assert.Equal((4, AttributeHeader.Size), (Unsafe.SizeOf<AttributeHeader>(), 4));
        Assert.Equal((4, GeneralHeader.Size), (Unsafe.SizeOf<GeneralHeader>(), 4));
        Assert.Equal((16, LinkHeader.Size), (Unsafe.SizeOf<LinkHeader>(), 16));
        Assert.Equal((8, AddressHeader.Size), (Unsafe.SizeOf<AddressHeader>(), 8));
        Assert.Equal((12, RouteHeader.Size), (Unsafe.SizeOf<RouteHeader>(), 12));
        Assert.Equal((8, NextHopHeader.Size), (Unsafe.SizeOf<NextHopHeader>(), 8));
        Assert.Equal((12, RuleHeader.Size), (Unsafe.SizeOf<RuleHeader>(), 12));
        Assert.Equal((12, NeighbourHeader.Size), (Unsafe.SizeOf<NeighbourHeader>(), 12));
        Assert.Equal((12, SockAddrNl.Size), (Unsafe.SizeOf<SockAddrNl>(), 12));
        Assert.Equal(16, Unsafe.SizeOf<TimeVal>());
        Assert.Equal(8, Unsafe.SizeOf<PollFd>());
        Assert.Equal(120, Unsafe.SizeOf<StatFs>());
        Assert.Equal(256, Unsafe.SizeOf<StatXResult>());
    }

    [Fact]
    public void Fields_have_the_offsets_of_their_originals()
    {
        Assert.Equal(8, Offset<MessageHeader>(nameof(MessageHeader.Sequence)));
        Assert.Equal(4, Offset<LinkHeader>(nameof(LinkHeader.Index)));
        Assert.Equal(12, Offset<LinkHeader>(nameof(LinkHeader.Change)));
        Assert.Equal(4, Offset<AddressHeader>(nameof(AddressHeader.Index)));
        Assert.Equal(8, Offset<RouteHeader>(nameof(RouteHeader.Flags)));
        Assert.Equal(7, Offset<RuleHeader>(nameof(RuleHeader.Action)));
        Assert.Equal(8, Offset<NeighbourHeader>(nameof(NeighbourHeader.State)));
        Assert.Equal(4, Offset<SockAddrNl>(nameof(SockAddrNl.PortId)));
    }

    private static int Offset<T>(string field) => (int)Marshal.OffsetOf<T>(field);
}
