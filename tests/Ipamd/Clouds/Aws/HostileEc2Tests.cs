// SPDX-License-Identifier: Apache-2.0
using System.IO.Compression;
using System.Text;
using Microsoft.AspNetCore.Http;
using VpcCni.Ipamd.Clouds;
using Xunit;

namespace VpcCni.Ipamd.Tests.Clouds.Aws;

/// <summary>
/// Answers that EC2 never gives, from a hostile endpoint: each ends within its bounds as a classified failure, and the next call works.
/// </summary>
public sealed class HostileEc2Tests
{
    private const string Nothing = "<DescribeNetworkInterfacesResponse><networkInterfaceSet/></DescribeNetworkInterfacesResponse>";

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public static TheoryData<string, string> Unreadable =>
        new()
        {
            { "nothing", "" },
            { "a page of a captive portal", "<html><body>sign in<br></body></html>" },
            { "a page that is well-formed", "<html><body>sign in</body></html>" },
            { "JSON", "{\"NetworkInterfaces\":[]}" },
            { "cut off", Nothing[..40] },
            {
                "entities that grow",
                """<!DOCTYPE x [<!ENTITY a "xxxxxxxxxx"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><XResponse>&b;</XResponse>"""
            },
            { "an external entity", """<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/hostname">]><XResponse>&a;</XResponse>""" },
            { "elements nested without end", string.Concat(Enumerable.Repeat("<a>", 1_000_000)) },
            {
                "a number that is none",
                "<XResponse><networkInterfaceSet><item><attachment><deviceIndex>one</deviceIndex></attachment></item></"
                    + "networkInterfaceSet></XResponse>"
            },
        };

    [Theory]
    [MemberData(nameof(Unreadable))]
    public async Task Unreadable_answer_is_a_transient_failure(string what, string body)
    {
        await using var test = await CloudUnderTest.StartAsync(options => options with { MaxAttempts = 1 });
        test.Instead("DescribeNetworkInterfaces", body);
        var failure = await Assert.ThrowsAsync<CloudException>(() => test.Cloud.DescribeAttachedInterfacesAsync(Token));
        Assert.True(failure.Kind == CloudErrorKind.Transient, $"{what}: {failure.Kind}");
        test.Instead("DescribeNetworkInterfaces", Nothing);
        await test.Cloud.DescribeAttachedInterfacesAsync(Token);
    }

    [Theory]
    [InlineData(200)]
    [InlineData(400)]
    public async Task Endless_answer_is_aborted(int status)
    {
        await using var test = await CloudUnderTest.StartAsync(options => options with { MaxAttempts = 1 });
        var chunk = Encoding.ASCII.GetBytes(new string('x', 64 * 1024));
        test.On(
            "DescribeNetworkInterfaces",
            new Reply(status, "")
            {
                Raw = async context =>
                {
                    while (!context.RequestAborted.IsCancellationRequested)
                        await context.Response.Body.WriteAsync(chunk, context.RequestAborted);
                },
            }
        );
        Assert.Equal(
            CloudErrorKind.Transient,
            (await Assert.ThrowsAsync<CloudException>(() => test.Cloud.DescribeAttachedInterfacesAsync(Token))).Kind
        );
    }

    [Fact]
    public async Task Compressed_answer_is_not_decompressed()
    {
        // An answer that is read when it is not compressed.
        const string none = "<XResponse><networkInterfaceSet/></XResponse>";
        var packed = new MemoryStream();
        await using (var gzip = new GZipStream(packed, CompressionLevel.Fastest, leaveOpen: true))
            await gzip.WriteAsync(System.Text.Encoding.ASCII.GetBytes(none), Token);
        await using var test = await CloudUnderTest.StartAsync(options => options with { MaxAttempts = 1 });
        test.On(
            "DescribeNetworkInterfaces",
            new Reply(200, "")
            {
                Headers = new Dictionary<string, string> { ["Content-Encoding"] = "gzip" },
                Raw = context => context.Response.Body.WriteAsync(packed.ToArray()).AsTask(),
            }
        );
        test.On("DescribeNetworkInterfaces", none);
        await Assert.ThrowsAsync<CloudException>(() => test.Cloud.DescribeUnattachedInterfacesAsync(Token));
        Assert.Empty(await test.Cloud.DescribeUnattachedInterfacesAsync(Token));
    }

    [Theory]
    [InlineData(301)]
    [InlineData(307)]
    public async Task Redirect_is_not_followed(int status)
    {
        await using var elsewhere = await ScriptedHttpServer.StartAsync(_ => Reply.Ok(Nothing));
        await using var test = await CloudUnderTest.StartAsync(options => options with { MaxAttempts = 1 });
        test.On(
            "DescribeNetworkInterfaces",
            new Reply(status, "") { Headers = new Dictionary<string, string> { ["Location"] = elsewhere.Url.ToString() } }
        );
        await Assert.ThrowsAsync<CloudException>(() => test.Cloud.DescribeAttachedInterfacesAsync(Token));
        Assert.Empty(elsewhere.Requests);
    }

    [Fact]
    public async Task Answer_that_stalls_ends_at_the_deadline()
    {
        await using var test = await CloudUnderTest.StartAsync(options =>
            options with
            {
                MaxAttempts = 1,
                HttpTimeout = TimeSpan.FromMilliseconds(300),
            }
        );
        test.On(
            "DescribeNetworkInterfaces",
            new Reply(200, "")
            {
                Raw = async context =>
                {
                    await context.Response.WriteAsync("<XResponse>");
                    await context.Response.Body.FlushAsync();
                    await Task.Delay(Timeout.Infinite, context.RequestAborted);
                },
            }
        );
        Assert.Equal("NoAnswer", (await Assert.ThrowsAsync<CloudException>(() => test.Cloud.DescribeAttachedInterfacesAsync(Token))).Code);
    }

    /// <summary>A code becomes a label of metrics; a message goes into logs, status and replies to the plugin.</summary>
    [Fact]
    public async Task Error_of_any_size_is_truncated()
    {
        await using var test = await CloudUnderTest.StartAsync(options => options with { MaxAttempts = 1 });
        test.On("DescribeNetworkInterfaces", CloudUnderTest.Error(new string('C', 200_000), "\u202eno" + new string('m', 2_000_000)));
        var failure = await Assert.ThrowsAsync<CloudException>(() => test.Cloud.DescribeAttachedInterfacesAsync(Token));
        Assert.InRange(failure.Message.Length, 1, 600);
        Assert.InRange(failure.ToString().Length, 1, 8_000);
        Assert.DoesNotContain('\u202e', failure.ToString());
        Assert.InRange(Assert.Single(test.Attempts).Code.Length, 1, 100);
    }

    [Theory]
    [InlineData("<networkInterfaceId>eni-\u202e1</networkInterfaceId><subnetId>subnet-1</subnetId>")]
    [InlineData(
        "<networkInterfaceId>eni-1</networkInterfaceId><subnetId>subnet-1</subnetId><groupSet><item><groupId>sg "
            + "1</groupId></item></groupSet>"
    )]
    public async Task Invalid_id_is_rejected(string ids)
    {
        await using var test = await CloudUnderTest.StartAsync(options => options with { MaxAttempts = 1 });
        test.On(
            "DescribeNetworkInterfaces",
            "<XResponse><networkInterfaceSet><item>"
                + $"{ids}<status>available</status><macAddress>02:00:00:00:00:03</macAddress>"
                + "<privateIpAddress>10.0.0.3</privateIpAddress></item></networkInterfaceSet></XResponse>"
        );
        Assert.Contains(
            "expected an id",
            (await Assert.ThrowsAsync<CloudException>(() => test.Cloud.DescribeUnattachedInterfacesAsync(Token))).Message,
            StringComparison.Ordinal
        );
    }
}
