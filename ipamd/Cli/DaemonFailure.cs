// SPDX-License-Identifier: Apache-2.0
using System.Net.Sockets;
using Grpc.Core;
using Grpc.Health.V1;
using VpcCni.Logging;

namespace VpcCni.Ipamd.Cli;

/// <summary>
/// Why a question to the daemon has no answer, in words for the person who asked: never those of gRPC or HTTP, which know no socket.
/// </summary>
/// <param name="What">What is the matter.</param>
/// <param name="Advice">What to do; empty for nothing that is known.</param>
internal sealed record DaemonFailure(string What, string Advice = "")
{
    /// <summary>What the daemon of the AWS VPC CNI calls itself in the health protocol.</summary>
    private const string ReferenceService = "grpc.health.v1.aws-node";

    private const string OtherSocket = "Where its socket is another: --socket, or VPCCNI_SOCKET_PATH.";

    private const string LookAround =
        $"Start it, or see why it does not run: its log, and `ipamd status --offline`, which reads what it left. {OtherSocket}";

    /// <summary>Asks whoever serves the socket who it is, where that helps.</summary>
    public static async Task<DaemonFailure> OfAsync(RpcException exception, DaemonClient client)
    {
        if (!IsForeign(exception) || !await IsReferenceAsync(client))
            return Of(exception, client.SocketPath, client.Server);
        var process = client.Server is { } server ? $", process {server}" : "";
        return new DaemonFailure(
            $"{client.SocketPath} is served by the daemon of the AWS VPC CNI (aws-node{process}), which does not have the service of ipamd "
                + $"({Protos.V1.NodeIpam.Descriptor.FullName})",
            "Ask aws-node itself: curl http://127.0.0.1:61679/v1/enis. How ipamd takes its place: docs/switch-over.md."
        );
    }

    /// <param name="exception">The failure.</param>
    /// <param name="socket">Of the daemon.</param>
    /// <param name="server">The process that serves it, if one was reached and can be seen.</param>
    public static DaemonFailure Of(RpcException exception, string socket, int? server)
    {
        var who = server is { } process ? $"{NameOf(process)} (process {process})" : "another program";
        return (exception.StatusCode, Innermost(exception)) switch
        {
            // How .NET names ENOENT, ENOTDIR of connect(2).
            (_, SocketException { SocketErrorCode: SocketError.AddressNotAvailable }) => new(
                $"the daemon is not running: there is no socket {socket}",
                LookAround
            ),
            (_, SocketException { SocketErrorCode: SocketError.ConnectionRefused }) => new(
                $"the daemon is not running: nobody listens on {socket}",
                LookAround
            ),
            (_, SocketException { SocketErrorCode: SocketError.AccessDenied }) or (StatusCode.PermissionDenied, _) => new(
                $"only root may ask the daemon on {socket}",
                "Run this as root."
            ),
            // ECONNRESET, ECONNABORTED, EPIPE: somebody was reached, and hung up.
            (
                _,
                SocketException { SocketErrorCode: SocketError.ConnectionReset or SocketError.ConnectionAborted or SocketError.Shutdown }
            ) => BrokeOff(socket, who),
            (_, SocketException unreachable) => new($"the daemon cannot be reached on {socket}: {unreachable.Message}", LookAround),
            (_, ArgumentException invalid) => new($"{socket} cannot be a socket: {Truncate.Of(invalid.Message)}"),
            (StatusCode.DeadlineExceeded, _) => new(
                $"the daemon on {socket} did not answer in time",
                "Its log says what it does; one that is stuck is restarted by its liveness probe (`ipamd health --service liveness`)."
            ),
            (StatusCode.Unimplemented, _) when IsForeign(exception) => new(
                $"{socket} is served by {who}, which is no daemon of this kind",
                OtherSocket
            ),
            (StatusCode.Unimplemented, _) => new(
                $"the daemon on {socket} does not know the question: it is of another version than this program"
            ),
            (_, not RpcException) => BrokeOff(socket, who),
            _ => new($"the daemon on {socket} refuses: {Truncate.Of(exception.Status.Detail)}"),
        };
    }

    public override string ToString() => Advice.Length == 0 ? What : $"{What}\n{Advice}";

    private static DaemonFailure BrokeOff(string socket, string who) =>
        new(
            $"{socket} is served by {who}, which broke off or does not speak the daemon's protocol",
            "If that is ipamd, its log says why it ended."
        );

    /// <summary>Servers written in Go, and with ASP.NET Core.</summary>
    private static bool IsForeign(RpcException exception) =>
        exception.StatusCode == StatusCode.Unimplemented
        && (
            exception.Status.Detail.StartsWith("unknown service", StringComparison.Ordinal)
            || exception.Status.Detail.StartsWith("Service is unimplemented", StringComparison.Ordinal)
        );

    private static async Task<bool> IsReferenceAsync(DaemonClient client)
    {
        try
        {
            await client.Health.CheckAsync(new HealthCheckRequest { Service = ReferenceService }, deadline: client.Deadline);
            return true;
        }
        catch (RpcException)
        {
            return false; // a name that it does not know, or no health at all
        }
    }

    private static Exception Innermost(RpcException exception)
    {
        Exception innermost = exception;
        for (var cause = exception.Status.DebugException; cause is not null; cause = cause.InnerException)
            innermost = cause;
        return innermost;
    }

    private static string NameOf(int process)
    {
        try
        {
            return Truncate.Of(File.ReadAllText($"/proc/{process}/comm"), Truncate.LongestWord);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return "a program"; // it has ended
        }
    }
}
