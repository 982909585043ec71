// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Lab.AzureApi;
using VpcCni.Lab.AzureModel;
using VpcCni.Lab.GceApi;
using VpcCni.Lab.GceMetadata;
using VpcCni.Lab.GceModel;
using Xunit;

namespace VpcCni.Interop.Tests.Lab.Clouds;

/// <summary>Tests the lab's clouds with the clients of Google and Microsoft, whose requests and expectations nobody here wrote.</summary>
public sealed class CloudClientTests
{
    private static readonly TimeSpan OperationTime = TimeSpan.FromMilliseconds(300);

    [Fact]
    public async Task Googles_client_changes_alias_ranges_and_routes()
    {
        const string Zone = "us-central1-a";
        var now = DateTimeOffset.UtcNow;
        var world = new GceWorld();
        world.Timing.Running = OperationTime;
        world.CreateNetwork(now, "net");
        world.CreateSubnetwork(
            now,
            "net",
            "us-central1",
            "nodes",
            IPNetwork.Parse("10.0.0.0/24"),
            [new GceSecondaryRange("pods", IPNetwork.Parse("10.4.0.0/20"))]
        );
        foreach (var name in (string[])["node-1", "node-2"])
            world.LaunchInstance(
                now,
                new GceLaunchRequest
                {
                    Name = name,
                    Zone = Zone,
                    Subnetwork = "nodes",
                }
            );
        var tokens = GceTokens.Create(TimeProvider.System, new Random(1));
        var api = new GceApiServer(world, tokens, TimeProvider.System, new GceApiOptions());
        var metadata = new GceMetadataServer(world, tokens, TimeProvider.System, _ => (Zone, "node-1"));
        await using var server = await CloudClients.ServeAsync(context =>
            context.Request.Path.StartsWithSegments(GceApiServer.PathPrefix, StringComparison.Ordinal)
                ? api.HandleAsync(context)
                : metadata.HandleAsync(context)
        );
        var address = new Uri(server.Urls.Single());

        var seen = await CloudClients.RunAsync(
            "gce.mjs",
            [address.Host, $"{address.Port}"],
            ("GCE_METADATA_HOST", address.Authority),
            ("GOOGLE_APPLICATION_CREDENTIALS", "")
        );
        Assert.Equal(
            """
            {"updateError":null,"aliases":["10.4.0.0/28","10.4.1.7/32"],"staleCode":412,"conflict":"IP_IN_USE_BY_ANOTHER_RESOURCE",
            "routes":["node-1 172.20.1.0/24"],"instances":["node-1","node-2"]}
            """.ReplaceLineEndings(""),
            seen.ToJsonString()
        );
    }

    [Fact]
    public async Task Microsofts_clients_change_configurations_and_routes()
    {
        var now = DateTimeOffset.UtcNow;
        var world = new AzureWorld();
        world.Timing.Operation = OperationTime;
        world.CreateNetwork(now, "net", IPNetwork.Parse("10.0.0.0/16"));
        var table = world.CreateRouteTable(now, "routes");
        var subnet = world.CreateSubnet(now, "net", "nodes", IPNetwork.Parse("10.0.0.0/24"), table.Id);
        world.LaunchMachine(now, new AzureLaunchRequest { ComputerName = "node-1", Subnet = subnet.Id });
        world.LaunchMachine(
            now,
            new AzureLaunchRequest
            {
                ComputerName = "node-2",
                Subnet = subnet.Id,
                ScaleSet = "pool",
            }
        );
        var tokens = AzureTokens.Create(TimeProvider.System, new Random(1));
        var api = new ArmServer(world, tokens, TimeProvider.System, new ArmOptions());
        await using var server = await CloudClients.ServeAsync(api.HandleAsync);

        var seen = await CloudClients.RunAsync("azure.mjs", [server.Urls.Single(), AzureTokens.LongLived]);
        Assert.Equal(
            """
            {"addresses":["10.0.0.4","10.0.0.6","10.0.0.16/28"],"error":"400 PrivateIPAddressNotInSubnet","route":"Succeeded",
            "routes":["node-1 172.20.1.0/24"],"scaleSet":2}
            """.ReplaceLineEndings(""),
            seen.ToJsonString()
        );
    }
}
