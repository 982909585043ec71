// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Text;
using VpcCni.Logging;
using Xunit;

namespace VpcCni.Shim.Tests;

public sealed class NetworkConfigTests
{
    private const string AwsNode = """
        {"cniVersion":"0.4.0","name":"aws-cni","type":"aws-cni","vethPrefix":"eni","mtu":"9001","podSGEnforcingMode":"strict","pluginLogFile":"/var/log/aws-routed-eni/plugin.log",
         "pluginLogLevel":"DEBUG","capabilities":{"io.kubernetes.cri.pod-annotations":true},"somethingNew":{"x":[1]},
         "runtimeConfig":{"io.kubernetes.cri.pod-annotations":{"k8s.amazonaws.com/nicConfig":"multi-nic-attachment"}}}
        """;

    [Fact]
    public void Config_of_aws_node_is_parsed()
    {
        var config = Read(AwsNode, CniCommand.Add);

        Assert.Equal("aws-cni", config.Name);
        Assert.Equal(CniVersion.V040, config.Version);
        Assert.Equal(("eni", 9001), (config.VethPrefix, config.Mtu));
        Assert.Equal(("/var/log/aws-routed-eni/plugin.log", PluginLogLevel.Debug), (config.LogFile, config.LogLevel));
        Assert.True(config.RequiresMultiNic);
        Assert.Empty(config.Warnings);
    }

    [Fact]
    public void Minimal_config_has_the_defaults()
    {
        var config = Read(PluginRun.Conf(), CniCommand.Add);

        Assert.Equal(
            new NetworkConfig
            {
                Version = CniVersion.V110,
                Name = "aws-cni",
                Warnings = config.Warnings,
            },
            config
        );
        Assert.Equal("/var/run/aws-node/ipamd.sock", config.IpamdSocket);
        Assert.Equal(TimeSpan.FromSeconds(30), config.IpamdTimeout);
    }

    [Theory]
    [InlineData("\"mtu\":1500", 1500)]
    [InlineData("\"mtu\":\"1500\"", 1500)]
    [InlineData("\"mtu\":\"\"", 9001)]
    [InlineData("\"mtu\":null", 9001)]
    public void Mtu_is_a_number_or_a_string(string json, int expected) =>
        Assert.Equal(expected, Read(PluginRun.Conf(more: json), CniCommand.Add).Mtu);

    [Theory]
    [InlineData("stdout")]
    [InlineData("stderr")]
    [InlineData("-")]
    [InlineData("")]
    public void LogFile_that_names_a_stream_means_stderr(string name) =>
        Assert.Equal("", Read(PluginRun.Conf(more: $"\"pluginLogFile\":\"{name}\""), CniCommand.Add).LogFile);

    [Theory]
    [InlineData("json", LogFormat.Json, 0)]
    [InlineData("TEXT", LogFormat.Text, 0)]
    [InlineData("", LogFormat.Text, 0)]
    [InlineData("xml", LogFormat.Text, 1)]
    public void Unknown_LogFormat_is_ignored_with_a_warning(string name, LogFormat format, int warnings)
    {
        var config = Read(PluginRun.Conf(more: $"\"pluginLogFormat\":\"{name}\""), CniCommand.Add);
        Assert.Equal((format, warnings), (config.LogFormat, config.Warnings.Count));
    }

    [Fact]
    public void Unknown_LogLevel_is_ignored_with_a_warning()
    {
        var config = Read(PluginRun.Conf(more: "\"pluginLogLevel\":\"chatty\""), CniCommand.Add);

        Assert.Equal(PluginLogLevel.Debug, config.LogLevel);
        Assert.Contains("chatty", Assert.Single(config.Warnings), StringComparison.Ordinal);
    }

    [Fact]
    public void Problems_are_reported_in_one_error_of_code_7()
    {
        var run = new PluginRun(
            "ADD",
            """
            {"cniVersion":"1.0.0","name":"a b","vethPrefix":"toolong","mtu":"big","podSGEnforcingMode":"loose","pluginLogFile":"plugin.log","pluginLogLevel":5,
             "ipamdSocket":"ipamd.sock","ipamdTimeoutSeconds":0,"prevResult":[],"runtimeConfig":"x"}
            """
        ).Run();

        Assert.Equal((1, 7), (run.ExitCode, run.Code));
        Assert.Equal("1.0.0", run.Answer.GetProperty("cniVersion").GetString());
        foreach (
            var key in (string[])
                [
                    "name:",
                    "type:",
                    "vethPrefix:",
                    "mtu:",
                    "podSGEnforcingMode:",
                    "pluginLogFile:",
                    "pluginLogLevel:",
                    "ipamdSocket:",
                    "ipamdTimeoutSeconds:",
                    "prevResult:",
                    "runtimeConfig:",
                ]
        )
            Assert.Contains(key, run.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("eth")]
    [InlineData("lo")]
    [InlineData("vlan")]
    [InlineData("a/b")]
    public void VethPrefix_of_other_links_is_rejected(string prefix) =>
        Assert.Equal(CniErrorCode.InvalidConfiguration, Fails(PluginRun.Conf(more: $"\"vethPrefix\":\"{prefix}\""), CniCommand.Add).Code);

    [Theory]
    [InlineData("575")]
    [InlineData("9002")]
    [InlineData("-1")]
    [InlineData("1500.5")]
    [InlineData("\" 1500\"")]
    [InlineData("99999999999")]
    [InlineData("true")]
    public void Mtu_out_of_range_is_rejected(string value) =>
        Assert.Contains("mtu:", Fails(PluginRun.Conf(more: $"\"mtu\":{value}"), CniCommand.Add).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("", "stdin is empty")]
    [InlineData("{", "not valid JSON")]
    [InlineData("[]", "expected an object")]
    [InlineData("null", "expected an object")]
    [InlineData("{\"cniVersion\":1}", "cniVersion")]
    public void Malformed_input_is_code_6(string input, string expected)
    {
        var run = new PluginRun("ADD", input).Run();

        Assert.Equal((1, 6), (run.ExitCode, run.Code));
        Assert.Contains(expected, run.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("2.0.0")]
    [InlineData("0.3.2")]
    [InlineData("1.0")]
    [InlineData("banana")]
    public void Unknown_version_is_code_1(string version)
    {
        var run = new PluginRun("ADD", PluginRun.Conf(version)).Run();

        Assert.Equal((1, 1), (run.ExitCode, run.Code));
        Assert.Contains(version, run.Message, StringComparison.Ordinal);
        Assert.Contains("1.1.0", run.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("CHECK", "0.3.1")]
    [InlineData("GC", "1.0.0")]
    [InlineData("STATUS", "0.4.0")]
    public void Command_later_than_the_version_is_code_1(string command, string version)
    {
        var run = new PluginRun(command, PluginRun.Conf(version)).Run();

        Assert.Equal((1, 1), (run.ExitCode, run.Code));
        Assert.Equal(version, run.Answer.GetProperty("cniVersion").GetString());
    }

    [Fact]
    public void Check_without_prevResult_is_code_7() =>
        Assert.Contains("prevResult", Fails(PluginRun.Conf(), CniCommand.Check).Message, StringComparison.Ordinal);

    [Fact]
    public void Del_uses_the_valid_parts_of_a_malformed_prevResult()
    {
        var config = Read(
            PluginRun.Conf(
                more: """
                "prevResult":{"interfaces":[7,{"name":"eth0","sandbox":"/n"}],"ips":[{"address":"10.0.0.5"},{"address":"10.0.0.6/32","interface":0}],"routes":5}
                """
            ),
            CniCommand.Del
        );

        Assert.Equal([new CniInterface("eth0", "", "/n")], config.PreviousResult!.Interfaces);
        Assert.Equal([new CniAddress(IPAddress.Parse("10.0.0.6"), 32, 0)], config.PreviousResult.Addresses);
        Assert.Equal(2, config.Warnings.Count);
    }

    [Theory]
    [InlineData("cni.dev/valid-attachments")]
    [InlineData("cni.dev/attachments")]
    public void Gc_accepts_either_key(string key)
    {
        var config = Read(
            PluginRun.Conf(
                more: $$"""
                "{{key}}":[{"containerID":"a","ifname":"eth0"}]
                """
            ),
            CniCommand.Gc
        );

        Assert.Equal([new ValidAttachment("a", "eth0")], config.ValidAttachments);
    }

    [Fact]
    public void Gc_treats_null_as_an_empty_list_and_a_missing_key_as_no_list()
    {
        Assert.Empty(Read(PluginRun.Conf(more: "\"cni.dev/valid-attachments\":null"), CniCommand.Gc).ValidAttachments!);
        Assert.Null(Read(PluginRun.Conf(), CniCommand.Gc).ValidAttachments);
    }

    [Theory]
    [InlineData("""{"a":1}""")]
    [InlineData("""[{"containerID":"a"}]""")]
    [InlineData("""[{"containerID":"a","ifname":"eth0"},7]""")]
    public void Gc_with_a_malformed_list_is_code_7(string list) =>
        Assert.Equal(
            CniErrorCode.InvalidConfiguration,
            Fails(PluginRun.Conf(more: $"\"cni.dev/valid-attachments\":{list}"), CniCommand.Gc).Code
        );

    [Fact]
    public void Input_larger_than_the_bound_is_rejected()
    {
        var run = new PluginRun("ADD", "") { Stdin = new EndlessStream() }.Run();

        Assert.Equal((1, 6), (run.ExitCode, run.Code));
        Assert.Contains("larger than", run.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0, 0)]
    [InlineData(1, 1)]
    public void Input_may_have_exactly_the_documented_size(int more, int exitCode)
    {
        var config = PluginRun.Conf();
        var run = new PluginRun("VERSION", config + new string(' ', Limits.ConfigurationBytes - config.Length + more)).Run();
        Assert.Equal(0, run.ExitCode);

        run = new PluginRun(
            "GC",
            config.TrimEnd('}')
                + ",\"cni.dev/valid-attachments\":7"
                + new string(' ', Limits.ConfigurationBytes - config.Length - 30 + more)
                + "}"
        ).Run();
        Assert.Equal(Limits.ConfigurationBytes + more, Encoding.UTF8.GetByteCount(run.Config));
        Assert.Equal(exitCode == 0 ? 7 : 6, run.Code);
        if (exitCode != 0)
            Assert.Contains("larger than 4 MiB", run.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(
        """{"interfaces":[{"name":"eni\ud800","mac":"\udc00"},{"name":"eth0","sandbox":"/x"}],"ips":[{"address":"10.0.0.1/32","interface":1}]}"""
    )]
    [InlineData(
        """{"interfaces":[{"na\ud800":1,"name":"eth0"}],"ips\ud800":1,"ips":[{"address":"10.0.0.1/32"}],"dns":{"\ud800":"\ud800"}}"""
    )]
    [InlineData(
        """{"i\ud800":1,"interfaces":"\ud800","ips":[{"address":"10.0.0.1/32"},{"address":"\ud800"},{"\ud800":"\ud800"},"\ud800",7,null]}"""
    )]
    public void Del_accepts_a_prevResult_with_strings_that_are_not_Unicode(string previous)
    {
        var config = Read(PluginRun.Conf(more: $"\"prevResult\":{previous}"), CniCommand.Del);

        Assert.Equal("10.0.0.1", Assert.Single(config.PreviousResult!.Addresses).Address.ToString());
    }

    [Fact]
    public void Del_accepts_a_deeply_nested_prevResult()
    {
        var previous = "{\"ips\":[{\"address\":\"10.0.0.1/32\"}],\"dns\":{\"x\":" + new string('[', 5000) + new string(']', 5000) + "}}";
        Assert.NotNull(Read(PluginRun.Conf(more: $"\"prevResult\":{previous}"), CniCommand.Del).PreviousResult);
    }

    [Fact]
    public void Del_reports_only_the_first_of_many_problems()
    {
        var previous = $$"""{"ips":[{{string.Join(',', Enumerable.Repeat("{}", 10_000))}}]}""";
        var run = new PluginRun("DEL", PluginRun.Conf(more: $"\"ipamdSocket\":\"/nonexistent\",\"prevResult\":{previous}")).Run();
        Assert.Equal(0, run.ExitCode);
        Assert.Contains("count=10000", run.Stderr, StringComparison.Ordinal);
        Assert.All(run.Stderr.Split('\n'), line => Assert.InRange(line.Length, 0, 2000));
    }

    [Fact]
    public void Unreadable_input_is_code_5()
    {
        var run = new PluginRun("ADD", "") { Stdin = new BrokenStream() }.Run();

        Assert.Equal((1, 5), (run.ExitCode, run.Code));
    }

    private static NetworkConfig Read(string json, CniCommand command)
    {
        var root = NetworkConfigReader.Decode(Encoding.UTF8.GetBytes(json));
        return NetworkConfigReader.Read(root, NetworkConfigReader.Version(root), command);
    }

    private static CniException Fails(string json, CniCommand command) => Assert.Throws<CniException>(() => Read(json, command));

    private sealed class EndlessStream : MemoryStream
    {
        public override int Read(byte[] buffer, int offset, int count)
        {
            Array.Fill(buffer, (byte)' ', offset, count);
            return count;
        }
    }

    private sealed class BrokenStream : MemoryStream
    {
        public override int Read(byte[] buffer, int offset, int count) => throw new IOException("broken");
    }
}
