// SPDX-License-Identifier: Apache-2.0
namespace Grpc.Core;

/// <summary>What a caller asks of one call besides the request itself.</summary>
public struct CallOptions
{
    /// <param name="headers">Sent with the request.</param>
    /// <param name="deadline">When the caller gives up, in UTC. Null or DateTime.MaxValue: never.</param>
    /// <param name="cancellationToken">Ends the call with CANCELLED.</param>
    public CallOptions(Metadata? headers = null, DateTime? deadline = null, CancellationToken cancellationToken = default)
    {
        Headers = headers;
        Deadline = deadline;
        CancellationToken = cancellationToken;
    }

    public Metadata? Headers { get; private set; }

    public DateTime? Deadline { get; private set; }

    public CancellationToken CancellationToken { get; private set; }

    public readonly CallOptions WithHeaders(Metadata headers) => this with { Headers = headers };

    public readonly CallOptions WithDeadline(DateTime deadline) => this with { Deadline = deadline };

    public readonly CallOptions WithCancellationToken(CancellationToken cancellationToken) => this with { CancellationToken = cancellationToken };
}
