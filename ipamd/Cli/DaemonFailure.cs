// SPDX-License-Identifier: Apache-2.0
using System.Net.Sockets;
using Grpc.Core;
using Grpc.Health.V1;
using VpcCni.Logging;

namespace VpcCni.Ipamd.Cli;

/// <summary>Describes for people why a call of the daemon failed. gRPC's own messages mention HTTP instead of the socket.</summary>
/// <param name="What">What happened.</param>
/// <param name="Advice">What to do; empty if unknown.</param>
internal sealed record DaemonFailure(string What, string Advice = "")
{
    /// <summary>Service name of the AWS VPC CNI's daemon in the health protocol.</summary>
    private const string ReferenceService = "grpc.health.v1.aws-node";

    private const string OtherSocket = "If the daemon uses another socket, set --socket or VPCCNI_SOCKET_PATH.";

    private const string LookAround =
        $"Start it, or find the reason in its log and with `ipamd status --offline`, which reads its files. {OtherSocket}";

    /// <summary>Describes a failure; asks the server of the socket for its identity if that helps.</summary>
    public static async Task<DaemonFailure> OfAsync(RpcException exception, DaemonClient client)
    {
        if (!IsForeign(exception) || !await IsReferenceAsync(client))
            return Of(exception, client.SocketPath, client.Server);
        var process = client.Server is { } server ? $", process {server}" : "";
        return new DaemonFailure(
            $"{client.SocketPath} is served by the daemon of the AWS VPC CNI (aws-node{process}), which does not have the service of ipamd "
                + $"({Protos.V1.NodeIpam.Descriptor.FullName})",
            "To query aws-node: curl http://127.0.0.1:61679/v1/enis. To migrate to ipamd: docs/switch-over.md."
        );
    }

    /// <param name="exception">The failure.</param>
    /// <param name="socket">Path of the daemon's socket.</param>
    /// <param name="server">Process id of the socket's server, if it is known.</param>
    public static DaemonFailure Of(RpcException exception, string socket, int? server)
    {
        var who = server is { } process ? $"{NameOf(process)} (process {process})" : "another program";
        return (exception.StatusCode, Innermost(exception)) switch
        {
            // .NET's code for ENOENT and ENOTDIR of connect(2).
            (_, SocketException { SocketErrorCode: SocketError.AddressNotAvailable }) => new(
                $"the daemon is not running: the socket {socket} does not exist",
                LookAround
            ),
            (_, SocketException { SocketErrorCode: SocketError.ConnectionRefused }) => new(
                $"the daemon is not running: no process listens on {socket}",
                LookAround
            ),
            (_, SocketException { SocketErrorCode: SocketError.AccessDenied }) or (StatusCode.PermissionDenied, _) => new(
                $"only root may call the daemon on {socket}",
                "Run this command as root."
            ),
            // ECONNRESET, ECONNABORTED and EPIPE: the server closed the connection.
            (
                _,
                SocketException { SocketErrorCode: SocketError.ConnectionReset or SocketError.ConnectionAborted or SocketError.Shutdown }
            ) => Disconnected(socket, who),
            (_, SocketException unreachable) => new($"the daemon cannot be reached on {socket}: {unreachable.Message}", LookAround),
            (_, ArgumentException invalid) => new($"{socket} is not a valid socket path: {Truncate.Of(invalid.Message)}"),
            (StatusCode.DeadlineExceeded, _) => new(
                $"the daemon on {socket} did not answer in time",
                "See the daemon's log. The liveness probe (`ipamd health --service liveness`) restarts a daemon that hangs."
            ),
            (StatusCode.Unimplemented, _) when IsForeign(exception) => new($"{socket} is served by {who}, which is not ipamd", OtherSocket),
            (StatusCode.Unimplemented, _) => new(
                $"the daemon on {socket} does not support this call: its version differs from this program's"
            ),
            (_, not RpcException) => Disconnected(socket, who),
            _ => new($"the daemon on {socket} rejected the call: {Truncate.Of(exception.Status.Detail)}"),
        };
    }

    public override string ToString() => Advice.Length == 0 ? What : $"{What}\n{Advice}";

    private static DaemonFailure Disconnected(string socket, string who) =>
        new(
            $"{socket} is served by {who}, which closed the connection or does not speak the daemon's protocol",
            "If that is ipamd, its log has the reason."
        );

    /// <summary>Whether the server does not have the service, by the messages of Go servers and of ASP.NET Core.</summary>
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
            return false; // unknown service name, or no health service
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
            return "a program"; // the process has ended
        }
    }
}
