// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics;
using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using VpcCni.Lab.Ec2Api;
using VpcCni.Lab.Imds;
using VpcCni.Lab.VpcModel;

namespace VpcCni.Interop.Tests.Lab;

/// <summary>
/// Serves the lab's EC2 API and metadata on a loopback port, in real time, with a small VPC, and runs real clients against it.
/// </summary>
internal sealed class LabOnLoopback : IAsyncDisposable
{
    private static readonly TimeSpan ClientDeadline = TimeSpan.FromSeconds(120);

    private readonly WebApplication _application;

    private LabOnLoopback(WebApplication application, VpcWorld world, Subnet subnet, SecurityGroup group, Instance instance)
    {
        _application = application;
        World = world;
        Subnet = subnet;
        Group = group;
        Instance = instance;
    }

    public VpcWorld World { get; }
    public Subnet Subnet { get; }
    public SecurityGroup Group { get; }
    public Instance Instance { get; }

    public string Url => _application.Urls.Single();

    public static async Task<LabOnLoopback> StartAsync(WorldOptions? options = null)
    {
        var world = new VpcWorld(TimeProvider.System, new Random(1), options);
        var vpc = world.CreateVpc(IPNetwork.Parse("10.0.0.0/16"), IPNetwork.Parse("2600:1f14:0:100::/56"));
        var subnet = world.CreateSubnet(vpc.Id, "us-west-2a", IPNetwork.Parse("10.0.1.0/24"), IPNetwork.Parse("2600:1f14:0:101::/64"));
        var group = world.CreateSecurityGroup(vpc.Id, "nodes");
        var instance = world.LaunchInstance(
            new LaunchRequest
            {
                InstanceType = "m5.large",
                Subnet = subnet.Id,
                Groups = [group.Id],
            }
        );
        var credentials = new CredentialStore(TimeProvider.System, new Random(2));
        var ec2 = new Ec2ApiServer(world, credentials, TimeProvider.System, new Random(3), new Ec2ApiOptions());
        var imds = new ImdsServer(world, credentials, TimeProvider.System, new Random(4), _ => instance.Id);
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0));
        var application = builder.Build();
        application.Run(context =>
            context.Request.Path.StartsWithSegments(ImdsServer.PathPrefix, StringComparison.Ordinal)
                ? imds.HandleAsync(context)
                : ec2.HandleAsync(context)
        );
        await application.StartAsync();
        return new LabOnLoopback(application, world, subnet, group, instance);
    }

    /// <summary>
    /// Runs a client whose AWS endpoint is the lab. With <paramref name="fromMetadata"/>, it has no keys and must get them from the
    /// metadata.
    /// </summary>
    public async Task<(int ExitCode, string Output, string Error)> RunAsync(
        string program,
        IReadOnlyList<string> arguments,
        bool fromMetadata = false
    )
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            RedirectStandardInput = true,
        };
        foreach (
            var name in start
                .Environment.Keys.Where(name =>
                    name.StartsWith("AWS_", StringComparison.Ordinal) || name.EndsWith("_proxy", StringComparison.OrdinalIgnoreCase)
                )
                .ToArray()
        )
            start.Environment.Remove(name);
        start.Environment["AWS_ENDPOINT_URL_EC2"] = Url;
        start.Environment["AWS_DEFAULT_REGION"] = World.Options.Region;
        start.Environment["AWS_CONFIG_FILE"] = "/dev/null";
        start.Environment["AWS_SHARED_CREDENTIALS_FILE"] = "/dev/null";
        start.Environment["AWS_MAX_ATTEMPTS"] = "1";
        if (fromMetadata)
        {
            start.Environment["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = Url;
        }
        else
        {
            start.Environment["AWS_ACCESS_KEY_ID"] = CredentialStore.LongLived.AccessKeyId;
            start.Environment["AWS_SECRET_ACCESS_KEY"] = CredentialStore.LongLived.SecretAccessKey;
            start.Environment["AWS_EC2_METADATA_DISABLED"] = "true";
        }

        using var process = Process.Start(start) ?? throw new InvalidOperationException($"{program} did not start");
        process.StandardInput.Close();
        using var deadline = new CancellationTokenSource(ClientDeadline);
        try
        {
            var output = process.StandardOutput.ReadToEndAsync(deadline.Token);
            var error = process.StandardError.ReadToEndAsync(deadline.Token);
            await process.WaitForExitAsync(deadline.Token);
            return (process.ExitCode, await output, await error);
        }
        catch (OperationCanceledException canceled)
        {
            process.Kill(entireProcessTree: true);
            throw new TimeoutException($"{program} {string.Join(' ', arguments)} did not exit within {ClientDeadline}", canceled);
        }
    }

    public ValueTask DisposeAsync() => _application.DisposeAsync();
}
