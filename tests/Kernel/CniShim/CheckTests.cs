// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Netlink;
using VpcCni.Protos.Rpc;
using Xunit;

namespace VpcCni.Kernel.Tests.CniShim;

/// <summary>CHECK finds each single change to what ADD wired.</summary>
public sealed class CheckTests
{
    private static readonly IPAddress PodAddress = IPAddress.Parse("10.250.0.10");
    private static readonly IPNetwork PodNetwork = new(PodAddress, 32);

    public static TheoryData<string, string> Damages =>
        new()
        {
            { "pod link deleted", "eth0 does not exist" },
            { "pod link down", "eth0 is down" },
            { "host link down", "enicc21c2d7785 is down" },
            { "address removed", "eth0 does not have 10.250.0.10" },
            { "neighbour removed", "169.254.1.1" },
            { "host route removed", "no route to 10.250.0.10" },
            { "to rule removed", "no rule 512" },
            { "from rule removed", "no rule 1536" },
            { "reservation released", "no address reserved" },
        };

    [Fact]
    public async Task Check_after_add_succeeds_silently()
    {
        await using var lab = await StartAsync();
        var pod = lab.CreateNamespace("pod");
        var result = lab.Add(pod);

        var run = lab.Plugin("CHECK", pod.Path!, more: $"\"prevResult\":{result.GetRawText()}").RunIn(lab.Host);

        Assert.Equal((0, ""), (run.ExitCode, run.Stdout));
    }

    [Theory]
    [MemberData(nameof(Damages))]
    public async Task Check_with_a_missing_part_is_102_and_names_it(string damage, string expected)
    {
        await using var lab = await StartAsync();
        var pod = lab.CreateNamespace("pod");
        var result = lab.Add(pod);
        using var inside = pod.OpenRouteNetlink();
        Damage(damage, lab, inside);

        var run = lab.Plugin("CHECK", pod.Path!, more: $"\"prevResult\":{result.GetRawText()}").RunIn(lab.Host);

        Assert.Equal((1, 102), (run.ExitCode, run.Code));
        Assert.Contains(expected, run.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Check_without_the_daemon_compares_the_kernel()
    {
        await using var lab = await ShimLab.StartAsync(state => state.ServesNodeIpam = false);
        var pod = lab.CreateNamespace("pod");
        var result = lab.Add(pod);

        Assert.Equal(0, lab.Plugin("CHECK", pod.Path!, more: $"\"prevResult\":{result.GetRawText()}").RunIn(lab.Host).ExitCode);
    }

    private static Task<ShimLab> StartAsync() =>
        ShimLab.StartAsync(state =>
            state.Allocate = _ => new IPAllocationMetadata
            {
                IPv4Addr = "10.250.0.10",
                DeviceNumber = 1,
                RouteTableId = 2,
            }
        );

    private static void Damage(string damage, ShimLab lab, RouteNetlink inside)
    {
        var eth0 = inside.FindLink("eth0")!;
        var veth = lab.HostNetlink.FindLink("enicc21c2d7785")!;
        switch (damage)
        {
            case "pod link deleted":
                inside.Execute(LinkRequests.Delete(eth0.Index));
                break;
            case "pod link down":
                inside.Execute(LinkRequests.SetUp(eth0.Index, up: false));
                break;
            case "host link down":
                lab.HostNetlink.Execute(LinkRequests.SetUp(veth.Index, up: false));
                break;
            case "address removed":
                inside.Execute(AddressRequests.Remove(eth0.Index, PodAddress, 32));
                break;
            case "neighbour removed":
                inside.Execute(NeighbourRequests.Remove(eth0.Index, IPAddress.Parse("169.254.1.1")));
                break;
            case "host route removed":
                lab.HostNetlink.Execute(
                    RouteRequests.Remove(
                        new RouteInfo
                        {
                            Family = IpFamily.V4,
                            Destination = PodNetwork,
                            LinkIndex = veth.Index,
                            Scope = RouteScope.Link,
                        }
                    )
                );
                break;
            case "to rule removed":
                lab.HostNetlink.Execute(
                    RuleRequests.Remove(
                        new RuleInfo
                        {
                            Family = IpFamily.V4,
                            Priority = 512,
                            Destination = PodNetwork,
                        }
                    )
                );
                break;
            case "from rule removed":
                lab.HostNetlink.Execute(
                    RuleRequests.Remove(
                        new RuleInfo
                        {
                            Family = IpFamily.V4,
                            Priority = 1536,
                            Source = PodNetwork,
                            Table = 2,
                        }
                    )
                );
                break;
            case "reservation released":
                lab.Ipamd.State.Attachments.Clear();
                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(damage), damage, "unknown case");
        }
    }
}
