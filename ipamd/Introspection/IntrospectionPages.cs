// SPDX-License-Identifier: Apache-2.0
using System.Buffers;
using System.Net;
using System.Text.Json;
using VpcCni.Ipamd.Hosting.Http;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Options;
using VpcCni.Ipamd.Placement;
using VpcCni.Ipamd.Planning;

namespace VpcCni.Ipamd.Introspection;

/// <summary>Sources of the introspection pages.</summary>
/// <param name="Ledger">Addresses and attachments.</param>
/// <param name="Options">The operator's settings.</param>
/// <param name="Targets">Returns the targets in force.</param>
/// <param name="EniConfig">The node's ENIConfig.</param>
/// <param name="Time">The clock.</param>
internal sealed record IntrospectionSources(
    IpLedger Ledger,
    IpamdOptions Options,
    Func<PoolTargets> Targets,
    EniConfigSource EniConfig,
    TimeProvider Time
);

/// <summary>
/// Serves the AWS VPC CNI's introspection pages with the same fields, for tools that read them. As there, sandbox ids and interface names
/// are blank, because with them anyone could make the daemon release a pod's address. Read-only, and without any call of the cloud or the
/// kernel.
/// </summary>
internal sealed class IntrospectionPages
{
    private const string Json = "application/json";
    private readonly IntrospectionSources _sources;
    private readonly HttpPages _pages;

    public IntrospectionPages(IntrospectionSources sources)
    {
        _sources = sources;
        (string Path, Action<Utf8JsonWriter> Write)[] pages =
        [
            ("/v1/enis", writer => EniPage.Write(writer, sources.Ledger, sources.Time.GetUtcNow())),
            ("/v1/eni-configs", EniConfig),
            ("/v1/networkutils-env-settings", writer => SettingsPage.HostNetwork(writer, sources.Options)),
            ("/v1/ipamd-env-settings", writer => SettingsPage.Pool(writer, sources.Targets(), sources.Options)),
        ];
        _pages = new HttpPages(
            [Page("/", writer => Index(writer, pages.Select(page => page.Path))), .. pages.Select(page => Page(page.Path, page.Write))],
            sources.Time
        )
        {
            Fallback = "/",
        };
    }

    /// <summary>
    /// Handles a request; a <see cref="RequestDelegate"/>. Rejects host names other than localhost, which protects against DNS rebinding: a
    /// web page could otherwise read the pages through a browser on the node. Tools use an address or localhost.
    /// </summary>
    public Task HandleAsync(HttpContext context)
    {
        var host = context.Request.Host.Host;
        if (host.Length == 0 || host == "localhost" || IPAddress.TryParse(host.Trim('[', ']'), out _))
            return _pages.HandleAsync(context);
        context.Response.StatusCode = StatusCodes.Status403Forbidden;
        return Task.CompletedTask;
    }

    private static HttpPage Page(string path, Action<Utf8JsonWriter> write) => new(path, Json, output => Write(output, write));

    private static void Write(IBufferWriter<byte> output, Action<Utf8JsonWriter> write)
    {
        using var writer = new Utf8JsonWriter(output);
        write(writer);
    }

    private static void Index(Utf8JsonWriter writer, IEnumerable<string> paths)
    {
        writer.WriteStartObject();
        writer.WriteStartArray("AvailableCommands");
        foreach (var path in paths)
            writer.WriteStringValue(path);
        writer.WriteEndArray();
        writer.WriteEndObject();
    }

    /// <summary>Writes the name of the ENIConfig; empty if the node names none, or without custom networking.</summary>
    private void EniConfig(Utf8JsonWriter writer) =>
        writer.WriteStringValue(
            _sources.EniConfig.Current switch
            {
                EniConfigState.Present present => present.Name,
                EniConfigState.Missing missing => missing.Name,
                _ => "",
            }
        );
}
