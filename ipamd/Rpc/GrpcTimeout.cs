// SPDX-License-Identifier: Apache-2.0
using System.Globalization;
using Grpc.Core;

namespace VpcCni.Ipamd.Rpc;

/// <summary>
/// Rejects a malformed <c>grpc-timeout</c> and ends a call with a zero timeout at once. Grpc.AspNetCore treats both as no deadline, so the
/// caller would wait without bound. Source: grpc/doc/PROTOCOL-HTTP2.md, Timeout.
/// </summary>
internal static class GrpcTimeout
{
    private const string Header = "grpc-timeout";
    private const int MaxDigits = 8;

    /// <summary>Grpc.AspNetCore counts in ticks and rounds less than one to zero.</summary>
    private const int NanosecondsPerTick = 100;

    public static Task InvokeAsync(HttpContext context, RequestDelegate next)
    {
        if (!context.Request.Headers.TryGetValue(Header, out var values))
            return next(context);
        var text = values.ToString();
        if (
            text.Length is < 2 or > MaxDigits + 1
            || !"HMSmun".Contains(text[^1])
            || !uint.TryParse(text.AsSpan()[..^1], NumberStyles.None, CultureInfo.InvariantCulture, out var amount)
        )
            return RespondAsync(
                context,
                StatusCode.Internal,
                $"{Header} is malformed, expected 1 to {MaxDigits} digits and one of H, M, S, m, u, n"
            );
        return amount == 0 || (text[^1] == 'n' && amount < NanosecondsPerTick)
            ? RespondAsync(context, StatusCode.DeadlineExceeded, "Deadline Exceeded")
            : next(context);
    }

    /// <summary>Writes a trailers-only response, in which the trailers are the headers.</summary>
    private static Task RespondAsync(HttpContext context, StatusCode code, string message)
    {
        context.Response.ContentType = "application/grpc";
        context.Response.Headers["grpc-status"] = ((int)code).ToString(CultureInfo.InvariantCulture);
        context.Response.Headers["grpc-message"] = message;
        return Task.CompletedTask;
    }
}
