// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Clouds.Aws;
using VpcCni.Ipamd.Clouds.Aws.Imds;
using Xunit;

namespace VpcCni.Ipamd.Tests.Clouds.Aws;

public sealed class EniTagsTests
{
    private static readonly DateTimeOffset Created = new(2026, 1, 2, 5, 4, 5, 678, TimeSpan.FromHours(2));

    [Fact]
    public void New_interface_has_the_description_and_tags_of_the_AWS_CNI()
    {
        var tags = new EniTags("i-1", "prod", new Dictionary<string, string> { ["team"] = "net", ["cost"] = "" });

        Assert.Equal("aws-K8S-i-1", tags.Description);
        Assert.Equal(
            [
                ("node.k8s.amazonaws.com/instance_id", "i-1"),
                ("cluster.k8s.amazonaws.com/name", "prod"),
                ("eks:eni:owner", "amazon-vpc-cni"),
                ("cost", ""),
                ("team", "net"),
                ("node.k8s.amazonaws.com/createdAt", "2026-01-02T03:04:05Z"),
            ],
            tags.ForNew(Created).Select(tag => (tag.Key!, tag.Value!))
        );
    }

    [Fact]
    public void Existing_interface_gets_no_creation_time() =>
        Assert.Equal(
            [("node.k8s.amazonaws.com/instance_id", "i-1")],
            new EniTags("i-1", "", new Dictionary<string, string>()).ForExisting().Select(tag => (tag.Key!, tag.Value!))
        );

    [Fact]
    public void Reserved_additional_tags_are_dropped_and_reported()
    {
        var additional = new Dictionary<string, string>
        {
            ["node.k8s.amazonaws.com/instance_id"] = "i-evil",
            ["aws:x"] = "1",
            [""] = "1",
            ["long"] = new('v', 256),
            [new string('k', 128)] = "1",
            ["fine"] = "1",
        };

        Assert.Equal(
            ["node.k8s.amazonaws.com/instance_id", "fine"],
            new EniTags("i-1", null, additional).ForExisting().Select(tag => tag.Key!)
        );
        Assert.Equal(5, EniTags.Ignored(additional).Count());
    }

    [Fact]
    public void Excess_additional_tags_are_dropped_and_reported()
    {
        var additional = Enumerable.Range(0, 47).ToDictionary(n => $"k{n:00}", _ => "v");
        Assert.Equal(1 + 45, new EniTags("i-1", null, additional).ForExisting().Count);
        Assert.Equal(["k45", "k46"], EniTags.Ignored(additional).Select(sentence => sentence.Split('\'')[1]));
    }

    [Fact]
    public void Options_report_all_errors()
    {
        var wrong = new AwsCloudOptions
        {
            HttpTimeout = TimeSpan.FromSeconds(3),
            Endpoint = new Uri("ftp://ec2"),
            Metadata = new ImdsOptions { Endpoint = new Uri("imds", UriKind.Relative) },
        };

        var problems = wrong.Validate().ToList();

        Assert.Equal(3, problems.Count);
        Assert.Contains("HTTP_TIMEOUT is 3 s, expected at least 10", problems);
        Assert.Empty(new AwsCloudOptions().Validate());
    }
}
