// SPDX-License-Identifier: Apache-2.0
using Grpc.Core;
using VpcCni.Datapath;
using VpcCni.Ipamd.Allocation;
using VpcCni.Ipamd.History;
using VpcCni.Ipamd.Planning;

namespace VpcCni.Ipamd.Rpc;

/// <summary>
/// Maps outcomes and failures of the daemon to gRPC statuses; no other code does. Texts from outside are trimmed: the server sends leading
/// and trailing spaces unchanged, HTTP/2 forbids them (RFC 9113, section 8.2.1), and some clients then drop the whole text.
/// </summary>
internal static class RpcErrorMap
{
    public static RpcException ToException(AddOutcome outcome) =>
        outcome switch
        {
            AddOutcome.NoAddress { Reason: var reason, Kind: var kind } => new RpcException(
                new Status(StatusCode.ResourceExhausted, reason.Trim()),
                Trailers(kind)
            ),
            AddOutcome.NotObserved { Reason: var reason } => new RpcException(
                new Status(StatusCode.Unavailable, reason.Trim()),
                new Metadata { { Contract.ReasonTrailer, "Starting" } }
            ),
            AddOutcome.Orphaned { Attachment: var attachment } => new RpcException(
                new Status(
                    StatusCode.FailedPrecondition,
                    $"{attachment.Key} has {attachment.Addresses[0].Address}, which no interface of this node has any more; "
                        + "delete the attachment and add it again"
                )
            ),
            _ => throw new InvalidOperationException($"{outcome} is not a failure"),
        };

    private static Metadata Trailers(GrowthObstacleKind? kind)
    {
        var trailers = new Metadata { { Contract.ReasonTrailer, kind?.ToString() ?? "PoolEmpty" } };
        if (kind is { } known)
            trailers.Add(Contract.HintTrailer, Hints.Of(known));
        return trailers;
    }

    /// <summary>Runs a call and maps a failed checkpoint write to UNAVAILABLE.</summary>
    public static async Task<T> GuardAsync<T>(Func<Task<T>> call)
    {
        try
        {
            return await call();
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new RpcException(
                new Status(
                    StatusCode.Unavailable,
                    $"the checkpoint could not be written, so nothing was changed: {exception.Message.Trim()}"
                )
            );
        }
    }
}
