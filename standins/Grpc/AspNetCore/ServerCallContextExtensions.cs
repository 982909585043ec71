// SPDX-License-Identifier: Apache-2.0
using Grpc.AspNetCore.Server.Internal;
using Microsoft.AspNetCore.Http;

namespace Grpc.Core;

/// <summary>From a call to the HTTP request that carries it.</summary>
public static class ServerCallContextExtensions
{
    private const string UserStateKey = "__HttpContext";

    /// <summary>Contexts that were not made by this server (fakes in tests) can offer one in UserState["__HttpContext"], as with the official package.</summary>
    public static HttpContext GetHttpContext(this ServerCallContext serverCallContext)
    {
        ArgumentNullException.ThrowIfNull(serverCallContext);
        if (serverCallContext is HttpContextServerCallContext ours) return ours.HttpContext;
        if (serverCallContext.UserState.TryGetValue(UserStateKey, out var value) && value is HttpContext context) return context;
        throw new InvalidOperationException($"{serverCallContext.GetType()} has no HttpContext: it was not made by an ASP.NET Core server.");
    }
}
