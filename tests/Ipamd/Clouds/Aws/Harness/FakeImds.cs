// SPDX-License-Identifier: Apache-2.0
using System.Collections.Concurrent;
using System.Net;
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.Ledger;

namespace VpcCni.Ipamd.Tests.Clouds.Aws;

/// <summary>
/// The instance metadata service, version 2, over real HTTP: issues tokens, rejects requests without a valid one, and answers values by
/// path, or 404. Tokens can be invalidated and answers overridden.
/// </summary>
internal sealed class FakeImds : IAsyncDisposable
{
    public const string Mac = "02:00:00:00:00:01";

    /// <summary>The identity of the node in <see cref="StartAsync"/>.</summary>
    public static readonly NodeIdentity Node = new()
    {
        NodeId = "i-0123456789abcdef0",
        NodeType = "m5.large",
        Region = "eu-west-1",
        Zone = "eu-west-1a",
        NetworkId = "vpc-1",
        PrimaryAddress = IPAddress.Parse("10.0.0.10"),
        PrimaryMac = Mac,
        PrimaryInterface = new NetworkInterfaceId("eni-00000000000000001"),
        PrimarySubnetId = "subnet-1",
    };

    private readonly ConcurrentDictionary<string, byte> _tokens = new();
    private ScriptedHttpServer _server = null!;
    private int _issued;

    /// <summary>Values by path below <c>/latest/</c>.</summary>
    public ConcurrentDictionary<string, string> Values { get; } = new(StringComparer.Ordinal);

    /// <summary>Called first for every request; null continues with the normal answer.</summary>
    public Func<ReceivedRequest, Task<Reply?>> Override { get; set; } = _ => Task.FromResult<Reply?>(null);

    /// <summary>Token lifetime that the service grants in its header; null for the requested one.</summary>
    public int? GrantedSeconds { get; set; }

    public Uri Url => _server.Url;

    public IReadOnlyList<ReceivedRequest> Requests => _server.Requests;

    public int TokensIssued => Volatile.Read(ref _issued);

    /// <summary>Number of requests of a path below <c>/latest/</c>.</summary>
    public int Count(string path) => Requests.Count(request => request.Path == "/latest/" + path);

    public static async Task<FakeImds> StartAsync()
    {
        var imds = new FakeImds();
        imds._server = await ScriptedHttpServer.StartAsync(async request => await imds.Override(request) ?? imds.Answer(request));
        imds.Set("instance-id", "i-0123456789abcdef0");
        imds.Set("instance-type", "m5.large");
        imds.Set("placement/availability-zone", "eu-west-1a");
        imds.Set("placement/region", "eu-west-1");
        imds.Set("local-ipv4", "10.0.0.10");
        imds.Set("mac", Mac);
        imds.SetPrimary("interface-id", "eni-00000000000000001");
        imds.SetPrimary("subnet-id", "subnet-1");
        imds.SetPrimary("vpc-id", "vpc-1");
        imds.SetPrimary("vpc-ipv4-cidr-blocks", "10.0.0.0/16\n100.64.0.0/16");
        return imds;
    }

    public void Set(string key, string value) => Values["meta-data/" + key] = value;

    public void SetPrimary(string key, string value) => SetInterface(Mac, key, value);

    /// <summary>Replaces <see cref="Mac"/> as the primary interface's address.</summary>
    public void SetPrimaryMac(string mac)
    {
        const string old = $"meta-data/network/interfaces/macs/{Mac}/";
        foreach (var (key, value) in Values.Where(pair => pair.Key.StartsWith(old, StringComparison.Ordinal)).ToArray())
            SetInterface(mac, key[old.Length..], value);
        RemoveInterface(Mac);
        Set("mac", mac);
    }

    public void SetInterface(string mac, string key, string value) => Set($"network/interfaces/macs/{mac}/{key}", value);

    public void RemoveInterface(string mac)
    {
        foreach (
            var key in Values
                .Keys.Where(key => key.StartsWith($"meta-data/network/interfaces/macs/{mac}/", StringComparison.Ordinal))
                .ToArray()
        )
            Values.TryRemove(key, out _);
    }

    /// <summary>Invalidates every token, as a restart of the service does.</summary>
    public void ForgetTokens() => _tokens.Clear();

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    private Reply Answer(ReceivedRequest request)
    {
        if (request is { Method: "PUT", Path: "/latest/api/token" })
        {
            if (!request.Headers.TryGetValue("X-aws-ec2-metadata-token-ttl-seconds", out var seconds))
                return new Reply(400, "");
            var token = $"token-{Interlocked.Increment(ref _issued)}==";
            _tokens[token] = 0;
            return new Reply(200, token)
            {
                Headers = new Dictionary<string, string>
                {
                    ["X-aws-ec2-metadata-token-ttl-seconds"] = GrantedSeconds?.ToString() ?? seconds,
                },
            };
        }

        if (!request.Headers.TryGetValue("X-aws-ec2-metadata-token", out var given) || !_tokens.ContainsKey(given))
            return new Reply(401, "");
        var path = request.Path["/latest/".Length..];
        return request.Method == "GET" && (Values.GetValueOrDefault(path) ?? Children(path)) is { } value
            ? new Reply(200, value)
            : new Reply(404, "<html>404</html>");
    }

    /// <summary>The entries below a path, one a line, with a slash for entries that have entries; null for none.</summary>
    private string? Children(string path)
    {
        var prefix = path.TrimEnd('/') + "/";
        var children = Values
            .Keys.Where(key => key.StartsWith(prefix, StringComparison.Ordinal))
            .Select(key => key[prefix.Length..])
            .Select(rest => rest.IndexOf('/', StringComparison.Ordinal) is >= 0 and var slash ? rest[..(slash + 1)] : rest)
            .Distinct()
            .Order(StringComparer.Ordinal)
            .ToList();
        return children.Count == 0 ? null : string.Join('\n', children);
    }
}
