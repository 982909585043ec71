// SPDX-License-Identifier: Apache-2.0
using System.Buffers;
using System.Text;
using Microsoft.AspNetCore.Http;
using VpcCni.Ipamd.Hosting.Http;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Ipamd.Tests.Hosting.Http;

public sealed class HttpPagesTests
{
    [Fact]
    public async Task Page_is_rendered_a_few_times_a_second_at_most()
    {
        var time = new ManualTimeProvider();
        var written = 0;
        var pages = new HttpPages(
            [new HttpPage("/x", "text/plain", output => output.Write(Encoding.ASCII.GetBytes($"{++written}")))],
            time
        );
        for (var request = 0; request < 1000; request++)
            Assert.Equal("1", await AskAsync(pages));
        time.Advance(HttpPages.Freshness);
        Assert.Equal("2", await AskAsync(pages));
        Assert.Equal(2, written);
    }

    [Fact]
    public async Task Failed_page_is_rendered_again_by_the_next_request()
    {
        var fails = true;
        var pages = new HttpPages(
            [
                new HttpPage(
                    "/x",
                    "text/plain",
                    output => output.Write(fails ? throw new InvalidOperationException("made to fail") : "ok"u8)
                ),
            ],
            new ManualTimeProvider()
        );
        await Assert.ThrowsAsync<InvalidOperationException>(() => AskAsync(pages));
        fails = false;
        Assert.Equal("ok", await AskAsync(pages));
    }

    private static async Task<string> AskAsync(HttpPages pages)
    {
        var context = new DefaultHttpContext { Request = { Method = "GET", Path = "/x" } };
        using var body = new MemoryStream();
        context.Response.Body = body;
        await pages.HandleAsync(context);
        await context.Response.CompleteAsync();
        return Encoding.ASCII.GetString(body.ToArray());
    }
}
