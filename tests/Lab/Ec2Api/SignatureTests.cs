// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Text;
using VpcCni.Lab.Ec2Api;
using VpcCni.Lab.VpcModel;
using Xunit;

namespace VpcCni.Lab.Tests.Ec2Api;

public sealed class SignatureTests
{
    [Fact]
    public async Task Request_signed_with_the_peoples_key_is_taken()
    {
        await using var host = await LabHost.StartAsync();
        Assert.Equal(HttpStatusCode.OK, (await host.CallAsync("DescribeVpcs")).Status);
    }

    [Fact]
    public async Task Request_signed_with_an_instances_credentials_is_taken_until_they_end()
    {
        await using var host = await LabHost.StartAsync();
        var credentials = host.Credentials.ForInstance(new InstanceId("i-1"));
        Assert.Equal(HttpStatusCode.OK, (await host.CallAsync("DescribeVpcs", credentials: credentials)).Status);

        host.Test.Time.Advance(CredentialStore.Lifetime - TimeSpan.FromSeconds(1));
        Assert.NotEqual(credentials, host.Credentials.ForInstance(new InstanceId("i-1")));
        Assert.Equal(HttpStatusCode.OK, (await host.CallAsync("DescribeVpcs", credentials: credentials)).Status);
        host.Test.Time.Advance(TimeSpan.FromSeconds(1));
        Refused(await host.CallAsync("DescribeVpcs", credentials: credentials), "RequestExpired", HttpStatusCode.BadRequest);
    }

    [Fact]
    public async Task Request_without_a_signature_is_refused()
    {
        await using var host = await LabHost.StartAsync();
        Refused(
            await host.CallAsync("DescribeVpcs", change: request => request.Headers.Remove("Authorization")),
            "MissingAuthenticationToken",
            HttpStatusCode.Forbidden
        );
    }

    [Fact]
    public async Task Request_signed_with_a_wrong_secret_is_refused_and_told_what_should_have_been_signed()
    {
        await using var host = await LabHost.StartAsync();
        var answer = await host.CallAsync("DescribeVpcs", credentials: CredentialStore.LongLived with { SecretAccessKey = "other" });
        Refused(answer, "SignatureDoesNotMatch", HttpStatusCode.Forbidden);
        Assert.Contains(
            "canonical string for this request should have been 'POST\n/\n",
            answer.Message.ReplaceLineEndings("\n"),
            StringComparison.Ordinal
        );
    }

    [Fact]
    public async Task Request_changed_after_signing_is_refused()
    {
        await using var host = await LabHost.StartAsync();
        var answer = await host.CallAsync(
            "DescribeVpcs",
            change: request =>
                request.Content = new StringContent(
                    "Action=DescribeSubnets&Version=2016-11-15",
                    Encoding.UTF8,
                    "application/x-www-form-urlencoded"
                )
        );
        Refused(answer, "SignatureDoesNotMatch", HttpStatusCode.Forbidden);
        Refused(
            await host.CallAsync(
                "DescribeVpcs",
                change: request => request.RequestUri = new Uri("/?Filter.1.Name=vpc-id", UriKind.Relative)
            ),
            "SignatureDoesNotMatch",
            HttpStatusCode.Forbidden
        );
        Refused(
            await host.CallAsync("DescribeVpcs", change: request => request.Headers.Add("X-Amz-Security-Token", "smuggled")),
            "AuthFailure",
            HttpStatusCode.Unauthorized
        );
        Refused(
            await host.CallAsync("DescribeVpcs", change: request => request.Headers.Add("X-Amz-Smuggled", "1")),
            "SignatureDoesNotMatch",
            HttpStatusCode.Forbidden
        );
    }

    [Fact]
    public async Task Request_with_an_unknown_key_or_a_wrong_token_is_refused()
    {
        await using var host = await LabHost.StartAsync();
        Refused(
            await host.CallAsync("DescribeVpcs", credentials: CredentialStore.LongLived with { AccessKeyId = "AKIAUNKNOWN" }),
            "AuthFailure",
            HttpStatusCode.Unauthorized
        );
        var credentials = host.Credentials.ForInstance(new InstanceId("i-1"));
        Refused(
            await host.CallAsync("DescribeVpcs", credentials: credentials with { SessionToken = null }),
            "AuthFailure",
            HttpStatusCode.Unauthorized
        );
        Refused(
            await host.CallAsync("DescribeVpcs", credentials: credentials with { SessionToken = "other" }),
            "AuthFailure",
            HttpStatusCode.Unauthorized
        );
    }

    [Theory]
    [InlineData(-301, false)]
    [InlineData(-299, true)]
    [InlineData(299, true)]
    [InlineData(301, false)]
    public async Task Request_signed_at_another_time_is_taken_within_five_minutes(int seconds, bool taken)
    {
        await using var host = await LabHost.StartAsync();
        host.Test.Time.Advance(TimeSpan.FromHours(12));
        var answer = await host.CallAsync("DescribeVpcs", at: host.Test.World.Now.AddSeconds(seconds));
        if (taken)
            Assert.Equal(HttpStatusCode.OK, answer.Status);
        else
            Refused(answer, "RequestExpired", HttpStatusCode.BadRequest);
    }

    [Fact]
    public async Task Request_for_another_region_is_refused_with_the_right_one_named()
    {
        await using var host = await LabHost.StartAsync();
        var answer = await host.CallAsync("DescribeVpcs", region: "eu-west-1");
        Refused(answer, "SignatureDoesNotMatch", HttpStatusCode.Forbidden);
        Assert.Contains("us-west-2", answer.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Bearer abc")]
    [InlineData("AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=host, Signature=00")]
    [InlineData("AWS4-HMAC-SHA256 SignedHeaders=host, Signature=00")]
    public async Task Request_with_a_malformed_authorization_is_refused_as_incomplete(string authorization)
    {
        await using var host = await LabHost.StartAsync();
        var answer = await host.CallAsync(
            "DescribeVpcs",
            change: request =>
            {
                request.Headers.Remove("Authorization");
                request.Headers.TryAddWithoutValidation("Authorization", authorization);
            }
        );
        Refused(answer, "IncompleteSignature", HttpStatusCode.BadRequest);
    }

    private static void Refused(Answer answer, string code, HttpStatusCode status)
    {
        Assert.Equal((code, status), (answer.Code, answer.Status));
        Assert.NotNull(answer.Text("RequestID"));
    }
}
