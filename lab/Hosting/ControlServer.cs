// SPDX-License-Identifier: Apache-2.0
using VpcCni.Lab.Fabric;

namespace VpcCni.Lab.Hosting;

/// <summary>
/// Serves the control API of a running lab: JSON over HTTP on a Unix socket that only its owner can open. Commands other than <c>up</c>
/// change the lab through it.
/// </summary>
internal sealed class ControlServer : IAsyncDisposable
{
    private readonly WebApplication _app;

    private ControlServer(WebApplication app) => _app = app;

    public static async Task<ControlServer> StartAsync(
        VpcLab lab,
        TimeProvider time,
        ILoggerProvider logging,
        CancellationToken cancellationToken
    )
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders().AddProvider(logging).SetMinimumLevel(LogLevel.Warning);
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.ListenUnixSocket(lab.Paths.ControlSocket));
        builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = TimeSpan.FromSeconds(2));
        var app = builder.Build();
        Map(app, lab, time);
        await app.StartAsync(cancellationToken);
        // The folder's mode already denies access to others; the socket's mode does so, too.
        File.SetUnixFileMode(lab.Paths.ControlSocket, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        return new ControlServer(app);
    }

    public ValueTask DisposeAsync() => _app.DisposeAsync();

    private static void Map(WebApplication app, VpcLab lab, TimeProvider time)
    {
        app.MapGet("/status", (CancellationToken cancellationToken) => AnswerAsync(() => lab.StatusAsync(cancellationToken)));
        app.MapPost(
            "/pods",
            (AddPodRequest request, CancellationToken cancellationToken) =>
                AnswerAsync(async () =>
                {
                    var pod = await lab.AddPodAsync(request.Node, PodName.Parse(request.Pod), cancellationToken);
                    return new AddPodReply(
                        request.Node,
                        pod.Name,
                        pod.Address.ToString(),
                        [.. pod.Addresses.Select(address => address.ToString())],
                        Milliseconds(pod.AddElapsed),
                        pod.Result
                    );
                })
        );
        app.MapDelete(
            "/pods/{node}/{ns}/{pod}",
            (string node, string ns, string pod, CancellationToken cancellationToken) =>
                AnswerAsync(async () =>
                {
                    var name = PodName.Parse($"{ns}/{pod}");
                    return new DeletePodReply(node, name.ToString(), Milliseconds(await lab.DeletePodAsync(node, name, cancellationToken)));
                })
        );
        app.MapPost(
            "/nodes/{node}/restart-ipamd",
            (string node, CancellationToken cancellationToken) =>
                AnswerAsync(async () =>
                {
                    var started = time.GetTimestamp();
                    await lab.RestartIpamdAsync(node, cancellationToken);
                    return new RestartReply(node, Milliseconds(time.GetElapsedTime(started)));
                })
        );
        app.MapPost("/faults", (FaultSpec fault) => Answer(() => lab.Cloud.Inject(fault)));
        app.MapDelete("/faults", (string? operation) => Answer(() => lab.Cloud.ClearFaults(operation)));
        app.MapPost(
            "/kubernetes/faults",
            (HttpRequest request, CancellationToken cancellationToken) =>
                AnswerAsync(async () =>
                {
                    lab.Cluster.Inject(await ReadAsync<KubeFaultSpec>(request, cancellationToken));
                    return new object();
                })
        );
        app.MapDelete("/kubernetes/faults", () => Answer(() => lab.Cluster.Plane.Faults.Clear()));
        app.MapPost(
            "/kubernetes/actions",
            (HttpRequest request, CancellationToken cancellationToken) =>
                AnswerAsync(async () =>
                {
                    await lab.Cluster.RunActionAsync(await ReadAsync<KubeActionSpec>(request, cancellationToken), cancellationToken);
                    return new object();
                })
        );
        app.MapPost("/ipv6-range", (Ipv6RangeSpec limit) => Answer(() => lab.World.LimitIpv6Ranges(limit)));
        app.MapPost("/timing", (TimingSpec timing) => Answer(() => lab.Cloud.SetTiming(timing)));
    }

    private static async Task<T> ReadAsync<T>(HttpRequest request, CancellationToken cancellationToken)
        where T : class =>
        await request.ReadFromJsonAsync<T>(LabJson.Options, cancellationToken) ?? throw new LabException("the request has no body");

    private static double Milliseconds(TimeSpan elapsed) => Math.Round(elapsed.TotalMilliseconds, 1);

    private static Task<IResult> Answer(Action body) =>
        AnswerAsync(() =>
        {
            body();
            return Task.FromResult(new object());
        });

    private static async Task<IResult> AnswerAsync<T>(Func<Task<T>> body)
    {
        try
        {
            return Results.Json(await body(), LabJson.Options);
        }
        catch (Exception error) when (error is LabException or FabricException or CniException)
        {
            return Results.Json(new ControlError(error.Message), LabJson.Options, statusCode: StatusCodes.Status409Conflict);
        }
        catch (Exception error) when (error is not OperationCanceledException)
        {
            return Results.Json(new ControlError(error.ToString()), LabJson.Options, statusCode: StatusCodes.Status500InternalServerError);
        }
    }
}
