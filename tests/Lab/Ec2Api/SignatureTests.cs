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
    public async Task Request_signed_with_the_long_lived_key_is_accepted()
    {
        await using var host = await LabHost.StartAsync();
        Assert.Equal(HttpStatusCode.OK, (await host.CallAsync("DescribeVpcs")).Status);
    }

    [Fact]
    public async Task Request_signed_with_instance_credentials_is_accepted_until_they_expire()
    {
        await using var host = await LabHost.StartAsync();
        var credentials = host.Credentials.ForInstance(new InstanceId("i-1"));
        Assert.Equal(HttpStatusCode.OK, (await host.CallAsync("DescribeVpcs", credentials: credentials)).Status);

        host.Test.Time.Advance(CredentialStore.Lifetime - TimeSpan.FromSeconds(1));
        Assert.NotEqual(credentials, host.Credentials.ForInstance(new InstanceId("i-1")));
        Assert.Equal(HttpStatusCode.OK, (await host.CallAsync("DescribeVpcs", credentials: credentials)).Status);
        host.Test.Time.Advance(TimeSpan.FromSeconds(1));
        AssertRejected(await host.CallAsync("DescribeVpcs", credentials: credentials), "RequestExpired", HttpStatusCode.BadRequest);
    }

    [Fact]
    public async Task Request_without_a_signature_is_rejected()
    {
        await using var host = await LabHost.StartAsync();
        AssertRejected(
            await host.CallAsync("DescribeVpcs", change: request => request.Headers.Remove("Authorization")),
            "MissingAuthenticationToken",
            HttpStatusCode.Forbidden
        );
    }

    [Fact]
    public async Task Request_signed_with_a_wrong_secret_is_rejected_with_the_canonical_string()
    {
        await using var host = await LabHost.StartAsync();
        var response = await host.CallAsync("DescribeVpcs", credentials: CredentialStore.LongLived with { SecretAccessKey = "other" });
        AssertRejected(response, "SignatureDoesNotMatch", HttpStatusCode.Forbidden);
        Assert.Contains(
            "canonical string for this request should have been 'POST\n/\n",
            response.Message.ReplaceLineEndings("\n"),
            StringComparison.Ordinal
        );
    }

    [Fact]
    public async Task Request_changed_after_signing_is_rejected()
    {
        await using var host = await LabHost.StartAsync();
        var response = await host.CallAsync(
            "DescribeVpcs",
            change: request =>
                request.Content = new StringContent(
                    "Action=DescribeSubnets&Version=2016-11-15",
                    Encoding.UTF8,
                    "application/x-www-form-urlencoded"
                )
        );
        AssertRejected(response, "SignatureDoesNotMatch", HttpStatusCode.Forbidden);
        AssertRejected(
            await host.CallAsync(
                "DescribeVpcs",
                change: request => request.RequestUri = new Uri("/?Filter.1.Name=vpc-id", UriKind.Relative)
            ),
            "SignatureDoesNotMatch",
            HttpStatusCode.Forbidden
        );
        AssertRejected(
            await host.CallAsync("DescribeVpcs", change: request => request.Headers.Add("X-Amz-Security-Token", "smuggled")),
            "AuthFailure",
            HttpStatusCode.Unauthorized
        );
        AssertRejected(
            await host.CallAsync("DescribeVpcs", change: request => request.Headers.Add("X-Amz-Smuggled", "1")),
            "SignatureDoesNotMatch",
            HttpStatusCode.Forbidden
        );
    }

    [Fact]
    public async Task Request_with_an_unknown_key_or_a_wrong_token_is_rejected()
    {
        await using var host = await LabHost.StartAsync();
        AssertRejected(
            await host.CallAsync("DescribeVpcs", credentials: CredentialStore.LongLived with { AccessKeyId = "AKIAUNKNOWN" }),
            "AuthFailure",
            HttpStatusCode.Unauthorized
        );
        var credentials = host.Credentials.ForInstance(new InstanceId("i-1"));
        AssertRejected(
            await host.CallAsync("DescribeVpcs", credentials: credentials with { SessionToken = null }),
            "AuthFailure",
            HttpStatusCode.Unauthorized
        );
        AssertRejected(
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
    public async Task Request_signed_at_another_time_is_accepted_within_five_minutes(int seconds, bool taken)
    {
        await using var host = await LabHost.StartAsync();
        host.Test.Time.Advance(TimeSpan.FromHours(12));
        var response = await host.CallAsync("DescribeVpcs", at: host.Test.World.Now.AddSeconds(seconds));
        if (taken)
            Assert.Equal(HttpStatusCode.OK, response.Status);
        else
            AssertRejected(response, "RequestExpired", HttpStatusCode.BadRequest);
    }

    [Fact]
    public async Task Request_for_another_region_is_rejected_with_the_expected_region()
    {
        await using var host = await LabHost.StartAsync();
        var response = await host.CallAsync("DescribeVpcs", region: "eu-west-1");
        AssertRejected(response, "SignatureDoesNotMatch", HttpStatusCode.Forbidden);
        Assert.Contains("us-west-2", response.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Bearer abc")]
    [InlineData("AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=host, Signature=00")]
    [InlineData("AWS4-HMAC-SHA256 SignedHeaders=host, Signature=00")]
    public async Task Request_with_a_malformed_authorization_is_rejected_as_incomplete(string authorization)
    {
        await using var host = await LabHost.StartAsync();
        var response = await host.CallAsync(
            "DescribeVpcs",
            change: request =>
            {
                request.Headers.Remove("Authorization");
                request.Headers.TryAddWithoutValidation("Authorization", authorization);
            }
        );
        AssertRejected(response, "IncompleteSignature", HttpStatusCode.BadRequest);
    }

    private static void AssertRejected(Response response, string code, HttpStatusCode status)
    {
        Assert.Equal((code, status), (response.Code, response.Status));
        Assert.NotNull(response.Text("RequestID"));
    }
}
