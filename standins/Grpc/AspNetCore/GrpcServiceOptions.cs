// SPDX-License-Identifier: Apache-2.0
using Grpc.Core.Internal;

namespace Grpc.AspNetCore.Server;

/// <summary>How every service of the application behaves.</summary>
public class GrpcServiceOptions
{
    /// <summary>Bytes; null = no limit. Default 4 MiB. A bigger request is RESOURCE_EXHAUSTED.</summary>
    public int? MaxReceiveMessageSize { get; set; } = MessageFrame.DefaultMaxReceiveMessageSize;

    /// <summary>Bytes; null = no limit, the default. A bigger response becomes RESOURCE_EXHAUSTED.</summary>
    public int? MaxSendMessageSize { get; set; }

    /// <summary>Tell clients the text of exceptions that are not RpcException. Default no: it can give away secrets.</summary>
    public bool? EnableDetailedErrors { get; set; }

    /// <summary>Leave calls of unknown services and methods to the rest of the application instead of answering UNIMPLEMENTED.</summary>
    public bool? IgnoreUnknownServices { get; set; }
}
