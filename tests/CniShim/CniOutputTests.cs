// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Text;
using System.Text.Json;
using Xunit;

namespace VpcCni.Shim.Tests;

/// <summary>Results and errors byte for byte, in each protocol version.</summary>
public sealed class CniOutputTests
{
    private static readonly CniResult Sample = new(
        [
            new CniInterface("enicc21c2d7785", "02:00:00:00:00:01", Mtu: 9001),
            new CniInterface("eth0", "02:00:00:00:00:02", "/run/netns/p", 9001),
            new CniInterface("dummycc21c2d7785", "0", "1"),
        ],
        [CniAddress.Host(IPAddress.Parse("10.0.0.5"), 1), CniAddress.Host(IPAddress.Parse("2001:db8::5"), 1)]
    );

    private const string Interfaces = """
        "interfaces":[{"name":"enicc21c2d7785","mac":"02:00:00:00:00:01"},{"name":"eth0","mac":"02:00:00:00:00:02","sandbox":"/run/netns/p"},{"name":"dummycc21c2d7785","mac":"0","sandbox":"1"}]
        """;

    private const string WithVersion = """
        "ips":[{"version":"4","interface":1,"address":"10.0.0.5/32"},{"version":"6","interface":1,"address":"2001:db8::5/128"}],"dns":{}
        """;

    [Theory]
    [InlineData("0.2.0", """{"cniVersion":"0.2.0","ip4":{"ip":"10.0.0.5/32"},"ip6":{"ip":"2001:db8::5/128"},"dns":{}}""")]
    [InlineData("0.3.1", """{"cniVersion":"0.3.1",""" + Interfaces + "," + WithVersion + "}")]
    [InlineData("0.4.0", """{"cniVersion":"0.4.0",""" + Interfaces + "," + WithVersion + "}")]
    [InlineData(
        "1.0.0",
        """{"cniVersion":"1.0.0","""
            + Interfaces
            + ""","ips":[{"interface":1,"address":"10.0.0.5/32"},{"interface":1,"address":"2001:db8::5/128"}],"dns":{}}"""
    )]
    [InlineData(
        "1.1.0",
        """{"cniVersion":"1.1.0","interfaces":[{"name":"enicc21c2d7785","mac":"02:00:00:00:00:01","mtu":9001},{"name":"eth0","mac":"02:00:00:00:00:02","mtu":9001,"sandbox":"/run/netns/p"},{"name":"dummycc21c2d7785","mac":"0","sandbox":"1"}],"ips":[{"interface":1,"address":"10.0.0.5/32"},{"interface":1,"address":"2001:db8::5/128"}],"dns":{}}"""
    )]
    public void Result_has_the_shape_of_its_version(string version, string expected)
    {
        Assert.True(CniVersion.TryParse(version, out var parsed));

        Assert.Equal(expected + "\n", Encoding.UTF8.GetString(CniOutput.Result(parsed, Sample)));
    }

    [Fact]
    public void Result_read_back_is_the_same()
    {
        var problems = new List<string>();
        using var json = JsonDocument.Parse(CniOutput.Result(CniVersion.V110, Sample));

        var read = CniResultReader.Read(json.RootElement, problems);

        Assert.Empty(problems);
        Assert.Equal(Sample.Interfaces, read.Interfaces);
        Assert.Equal(Sample.Addresses, read.Addresses);
    }

    [Fact]
    public void Result_after_prevResult_keeps_it_and_shifts_its_own_indices()
    {
        using var json = JsonDocument.Parse(
            """{"interfaces":[{"name":"br0"}],"ips":[{"address":"192.168.0.2/24","interface":0,"gateway":"192.168.0.1"}],"routes":[{"dst":"0.0.0.0/0"}],"dns":{"nameservers":["1.1.1.1"]}}"""
        );
        var previous = CniResultReader.Read(json.RootElement, []);

        var text = Encoding.UTF8.GetString(
            CniOutput.Result(
                CniVersion.V100,
                new CniResult([new CniInterface("eth0")], [CniAddress.Host(IPAddress.Parse("10.0.0.5"), 0)]).After(previous)
            )
        );

        Assert.Equal(
            """{"cniVersion":"1.0.0","interfaces":[{"name":"br0"},{"name":"eth0"}],"ips":[{"interface":0,"address":"192.168.0.2/24","gateway":"192.168.0.1"},{"interface":1,"address":"10.0.0.5/32"}],"routes":[{"dst":"0.0.0.0/0"}],"dns":{"nameservers":["1.1.1.1"]}}"""
                + "\n",
            text
        );
    }

    [Fact]
    public void Error_has_the_four_members() =>
        Assert.Equal(
            """{"cniVersion":"0.4.0","code":11,"msg":"no address: \"pool\" <empty>","details":"é"}""" + "\n",
            Encoding.UTF8.GetString(CniOutput.Error(CniVersion.V040, CniErrorCode.TryAgainLater, "no address: \"pool\" <empty>", "é"))
        );

    [Theory]
    [InlineData("""{"cniVersion":"0.4.0"}""", "0.4.0")]
    [InlineData("""{"cniVersion":"9.9.9"}""", "1.1.0")]
    [InlineData("""{"cniVersion":"0.4.\ud800"}""", "1.1.0")]
    [InlineData("""{"cniVersion":"0.4.0","\ud800cniVersion":1}""", "1.1.0")]
    [InlineData("not json", "1.1.0")]
    [InlineData("", "1.1.0")]
    public void Version_answers_any_input(string input, string version)
    {
        var run = new PluginRun("VERSION", input)
            .Set("CNI_CONTAINERID", null)
            .Set("CNI_NETNS", null)
            .Set("CNI_IFNAME", null)
            .Set("CNI_ARGS", null)
            .Set("CNI_PATH", null)
            .Run();

        Assert.Equal(0, run.ExitCode);
        Assert.Equal(
            $$"""{"cniVersion":"{{version}}","supportedVersions":["0.1.0","0.2.0","0.3.0","0.3.1","0.4.0","1.0.0","1.1.0"]}""" + "\n",
            run.Stdout
        );
    }
}
