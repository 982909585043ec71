// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Datapath;
using VpcCni.Netlink;

// Sends the kernel changes of the plugin and does nothing else, as a lower bound of its duration: no configuration, no daemon, no checks,
// no result.
//   vpc-cni-floor add|del NETNS HOST_VETH POD_VETH ADDRESS TABLE
const int mtu = 9001;
if (args is not [var verb, var netns, var hostVeth, var podVeth, var text, var table])
{
    Console.Error.WriteLine("usage: vpc-cni-floor add|del NETNS HOST_VETH POD_VETH ADDRESS TABLE");
    return 2;
}

var address = IPAddress.Parse(text);
using var host = RouteNetlink.Open();
var requests = new List<NetlinkRequest>();
if (verb == "del")
{
    PodPathRequests.RemoveRules(requests, address);
    requests.Add(LinkRequests.Delete(hostVeth));
    host.Execute(requests);
    return 0;
}

using var hostNamespace = NetworkNamespace.OpenCurrent();
using var podNamespace = NetworkNamespace.Open(netns);
using var pod = podNamespace.OpenRouteNetlink();
var hostMac = MacAddress.Random(Random.Shared);
var podMac = MacAddress.Random(Random.Shared);
pod.Execute(
    LinkRequests.CreateVeth(
        new VethSpec
        {
            Name = podVeth,
            Mac = podMac,
            Mtu = mtu,
            PeerName = hostVeth,
            PeerNamespace = hostNamespace,
            PeerMac = hostMac,
            PeerMtu = mtu,
        }
    )
);
var created = pod.FindLink(podVeth)!;
requests.Add(LinkRequests.SetUp(created.PeerIndex!.Value, up: true));
PodPathRequests.AddHostSide(requests, address, created.PeerIndex.Value, Egress.ByTable(int.Parse(table)), podMac);
host.Execute(requests);
requests.Clear();
requests.Add(LinkRequests.SetUp(created.Index, up: true));
PodPathRequests.AddPodSide(requests, address, created.Index, index: 0, hostMac);
pod.Execute(requests);
return 0;
