// SPDX-License-Identifier: Apache-2.0
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using VpcCni.Ipamd.Kubernetes;
using VpcCni.Ipamd.Kubernetes.Api;
using Xunit;

namespace VpcCni.Ipamd.Tests.Kubernetes.Api;

public sealed class KubernetesEniConfigsTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task EniConfig_is_listed_and_watched_by_name()
    {
        await using var server = await ApiServerStub.StartAsync(context =>
            context.Response.WriteAsync(
                context.Request.Query["watch"] == "true"
                    ? """{"type":"MODIFIED","object":{"metadata":{"name":"a","resourceVersion":"8"},"spec":{"subnet":"subnet-2"}}}""" + "\n"
                    : """{"metadata":{"resourceVersion":"7"},"items":[{"metadata":{"name":"other"}},{"metadata":{"name":"a"},"spec":{"subnet":"subnet-1","securityGroups":["sg-1","sg-2"]}}]}"""
            )
        );
        using var connection = new KubernetesConnection(
            new ClusterOptions { Endpoint = new Uri(server.Url), NodeName = "n" },
            "test",
            TimeProvider.System
        );
        var source = new KubernetesEniConfigs(connection);
        var listed = await source.ListAsync("a", "0", Token);
        Assert.Equal(
            ("7", "subnet-1", "sg-1 sg-2"),
            (listed.Version, listed.Item!.SubnetId, string.Join(' ', listed.Item.SecurityGroupIds))
        );
        List<ObjectEvent<EniConfigFacts>> events = [];
        await source.WatchAsync("a", "7", TimeSpan.FromMinutes(5), events.Add, Token);
        Assert.Equal(
            ("8", "subnet-2", 0),
            (events.Single().Version, events.Single().Item!.SubnetId, events.Single().Item!.SecurityGroupIds.Count)
        );
        Assert.Equal(
            [
                "/apis/crd.k8s.amazonaws.com/v1alpha1/eniconfigs?fieldSelector=metadata.name%3Da&resourceVersion=0&watch=false",
                "/apis/crd.k8s.amazonaws.com/v1alpha1/eniconfigs?allowWatchBookmarks=true&fieldSelector=metadata.name%3Da&"
                    + "resourceVersion=7&timeoutSeconds=300&watch=true",
            ],
            server.Arrivals.Select(arrival => arrival.Url)
        );
    }

    [Theory]
    [InlineData("{}")]
    [InlineData("""{"spec":null}""")]
    [InlineData("""{"spec":{"subnet":5,"securityGroups":"sg-1"}}""")]
    [InlineData("[]")]
    public void Content_of_another_shape_is_empty(string json)
    {
        using var document = JsonDocument.Parse(json);
        var facts = KubernetesEniConfigs.FactsOf(document.RootElement);
        Assert.Equal(("", 0), (facts.SubnetId, facts.SecurityGroupIds.Count));
    }
}
