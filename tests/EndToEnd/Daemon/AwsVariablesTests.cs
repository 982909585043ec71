// SPDX-License-Identifier: Apache-2.0
using System.Collections.Concurrent;
using System.Net;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging.Abstractions;
using VpcCni.Lab.Ec2Api;
using VpcCni.Lab.Hosting;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.EndToEnd.Tests.Daemon;

/// <summary>
/// Tests the variables of the AWS SDKs in the native daemon: endpoints, region and credentials. The lab's EC2 API verifies every signature,
/// so a daemon that becomes ready without a checkpoint used the right credentials. The credentials of the instance are disabled.
/// </summary>
public sealed class AwsVariablesTests
{
    private const string Role = "arn:aws:iam::111122223333:role/vpc-cni";
    private const string WebToken = "eyJhbGciOiJSUzI1NiJ9.web-identity-of-the-service-account.c2ln";
    private const string PodToken = "pod-identity-token-of-the-agent";
    private static readonly IPEndPoint StandIn = new(IPAddress.Loopback, 8099);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private static Dictionary<string, string> Keys =>
        new()
        {
            ["AWS_ACCESS_KEY_ID"] = CredentialStore.LongLived.AccessKeyId,
            ["AWS_SECRET_ACCESS_KEY"] = CredentialStore.LongLived.SecretAccessKey,
        };

    /// <summary>An endpoint on which nothing listens: a daemon that uses it does not become ready.</summary>
    private const string ClosedEndpoint = "http://127.0.0.1:9";

    public static TheoryData<string> Endpoints =>
        new(
            $"AWS_ENDPOINT_URL_EC2={VpcLab.Ec2Endpoint}",
            $"AWS_ENDPOINT_URL={VpcLab.Ec2Endpoint}",
            $"AWS_ENDPOINT_URL_EC2={VpcLab.Ec2Endpoint} AWS_ENDPOINT_URL={ClosedEndpoint} AWS_EC2_ENDPOINT={ClosedEndpoint}",
            $"AWS_EC2_ENDPOINT={VpcLab.Ec2Endpoint} AWS_ENDPOINT_URL={ClosedEndpoint}",
            $"AWS_EC2_ENDPOINT={VpcLab.Ec2Endpoint} AWS_ENDPOINT_URL_EC2={ClosedEndpoint} AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=true",
            $"AWS_ENDPOINT_URL_EC2={VpcLab.Ec2Endpoint} AWS_REGION= AWS_DEFAULT_REGION=us-west-2",
            $"AWS_ENDPOINT_URL_EC2={VpcLab.Ec2Endpoint} AWS_REGION=us-west-2 AWS_DEFAULT_REGION=eu-west-9",
            $"AWS_ENDPOINT_URL_EC2={VpcLab.Ec2Endpoint} AWS_REGION="
        );

    [Theory]
    [MemberData(nameof(Endpoints))]
    public async Task Endpoint_and_region_follow_the_variables_of_the_SDK(string variables)
    {
        var environment = Keys;
        environment["AWS_EC2_ENDPOINT"] = "";
        foreach (var variable in variables.Split(' '))
            environment[variable.Split('=', 2)[0]] = variable.Split('=', 2)[1];
        await using var node = await StartAsync(environment);
        await AssertServesAsync(node);
    }

    [Fact]
    public async Task Endpoint_and_region_of_a_profile_apply_unless_a_variable_is_set()
    {
        var folder = Directory.CreateTempSubdirectory("vpccni-aws-");
        try
        {
            await File.WriteAllTextAsync(
                Path.Combine(folder.FullName, "config"),
                $"""
                [profile cni]
                region = us-west-2
                services = lab
                aws_access_key_id = {CredentialStore.LongLived.AccessKeyId}
                aws_secret_access_key = {CredentialStore.LongLived.SecretAccessKey}

                [services lab]
                ec2 =
                  endpoint_url = {VpcLab.Ec2Endpoint}

                """,
                Token
            );
            await using var node = await StartAsync(
                new Dictionary<string, string>
                {
                    ["AWS_PROFILE"] = "cni",
                    ["AWS_CONFIG_FILE"] = Path.Combine(folder.FullName, "config"),
                    ["AWS_SHARED_CREDENTIALS_FILE"] = Path.Combine(folder.FullName, "none"),
                    ["AWS_EC2_ENDPOINT"] = "",
                    ["AWS_REGION"] = "",
                }
            );
            await AssertServesAsync(node);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [Fact]
    public async Task Credentials_come_from_the_named_profile()
    {
        await using var node = await StartAsync([], start: false);
        var file = Path.Combine(node.TheNode.Paths.Folder, "credentials");
        await File.WriteAllTextAsync(
            file,
            $"""
            [default]
            aws_access_key_id = AKIAWRONGWRONGWRONG0
            aws_secret_access_key = wrong
            [cni]
            aws_access_key_id = {CredentialStore.LongLived.AccessKeyId}
            aws_secret_access_key = {CredentialStore.LongLived.SecretAccessKey}

            """,
            Token
        );
        node.TheNode.Ipamd!.Start(new Dictionary<string, string> { ["AWS_PROFILE"] = "cni", ["AWS_SHARED_CREDENTIALS_FILE"] = file });
        await AssertServesAsync(node);
    }

    /// <summary>IAM roles for service accounts: STS exchanges the token of the file, in an unsigned call.</summary>
    [Fact]
    public async Task Credentials_come_from_STS_for_a_web_identity()
    {
        await using var node = await StartAsync([], start: false);
        var pair = await PairOfInstanceAsync(node);
        var requests = new ConcurrentQueue<Received>();
        await using var sts = await ServeAsync(node, requests, _ => StsAnswer("AssumeRoleWithWebIdentity", pair), "text/xml");
        var file = Path.Combine(node.TheNode.Paths.Folder, "token");
        await File.WriteAllTextAsync(file, WebToken, Token);
        node.TheNode.Ipamd!.Start(
            new Dictionary<string, string>
            {
                ["AWS_ROLE_ARN"] = Role,
                ["AWS_WEB_IDENTITY_TOKEN_FILE"] = file,
                ["AWS_ENDPOINT_URL_STS"] = $"http://{StandIn}",
            }
        );
        await AssertServesAsync(node, WebToken, pair.SecretAccessKey, pair.Token);
        var request = Assert.Single(requests);
        Assert.Contains("Action=AssumeRoleWithWebIdentity", request.Body, StringComparison.Ordinal);
        Assert.Contains($"RoleArn={Uri.EscapeDataString(Role)}", request.Body, StringComparison.Ordinal);
        Assert.Contains($"WebIdentityToken={WebToken}", request.Body, StringComparison.Ordinal);
        Assert.Equal("", request.Authorization);
    }

    /// <summary>The error has its reason and not the token.</summary>
    [Fact]
    public async Task Web_identity_that_STS_rejects_is_a_problem_with_the_reason()
    {
        await using var node = await StartAsync([], start: false);
        var requests = new ConcurrentQueue<Received>();
        await using var sts = await ServeAsync(
            node,
            requests,
            _ =>
                "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>Not authorized to perform "
                + "sts:AssumeRoleWithWebIdentity</Message></Error></ErrorResponse>",
            "text/xml",
            403
        );
        var file = Path.Combine(node.TheNode.Paths.Folder, "token");
        await File.WriteAllTextAsync(file, WebToken, Token);
        node.TheNode.Ipamd!.Start(
            new Dictionary<string, string>
            {
                ["AWS_ROLE_ARN"] = Role,
                ["AWS_WEB_IDENTITY_TOKEN_FILE"] = file,
                ["AWS_ENDPOINT_URL_STS"] = $"http://{StandIn}",
            }
        );
        await AssertLogsAsync(node, "Not authorized to perform sts:AssumeRoleWithWebIdentity", WebToken);
    }

    [Fact]
    public async Task Missing_token_file_is_a_named_problem_until_the_file_exists()
    {
        await using var node = await StartAsync([], start: false);
        var pair = await PairOfInstanceAsync(node);
        var requests = new ConcurrentQueue<Received>();
        await using var sts = await ServeAsync(node, requests, _ => StsAnswer("AssumeRoleWithWebIdentity", pair), "text/xml");
        var file = Path.Combine(node.TheNode.Paths.Folder, "token");
        node.TheNode.Ipamd!.Start(
            new Dictionary<string, string>
            {
                ["AWS_ROLE_ARN"] = Role,
                ["AWS_WEB_IDENTITY_TOKEN_FILE"] = file,
                ["AWS_ENDPOINT_URL_STS"] = $"http://{StandIn}",
            }
        );
        await AssertLogsAsync(node, file);
        await File.WriteAllTextAsync(file, WebToken, Token);
        await AssertServesAsync(node, WebToken);
    }

    /// <summary>EKS Pod Identity: an agent on a link-local address, or on loopback as here.</summary>
    [Fact]
    public async Task Credentials_come_from_the_agent_of_pod_identity()
    {
        await using var node = await StartAsync([], start: false);
        var pair = await PairOfInstanceAsync(node);
        var requests = new ConcurrentQueue<Received>();
        await using var agent = await ServeAsync(
            node,
            requests,
            _ =>
                JsonSerializer.Serialize(
                    new
                    {
                        pair.AccessKeyId,
                        pair.SecretAccessKey,
                        pair.Token,
                        Expiration = DateTimeOffset.UtcNow.AddHours(6).ToString("yyyy-MM-dd'T'HH:mm:ss'Z'"),
                    }
                ),
            "application/json"
        );
        var file = Path.Combine(node.TheNode.Paths.Folder, "token");
        await File.WriteAllTextAsync(file, PodToken, Token);
        node.TheNode.Ipamd!.Start(
            new Dictionary<string, string>
            {
                ["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = $"http://{StandIn}/v1/credentials",
                ["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"] = file,
            }
        );
        await AssertServesAsync(node, PodToken, pair.SecretAccessKey, pair.Token);
        Assert.All(requests, request => Assert.Equal(("/v1/credentials", PodToken), (request.Path, request.Authorization)));
        Assert.NotEmpty(requests);
    }

    /// <summary>The address of the ECS agent on every host; the lab node has it for the duration of the test.</summary>
    [Fact]
    public async Task Credentials_come_from_the_agent_at_a_relative_URI()
    {
        await using var node = await StartAsync([], start: false);
        await node.ExecAsync("ip", "address", "add", "169.254.170.2/32", "dev", "lo");
        var requests = new ConcurrentQueue<Received>();
        var pair = await PairOfInstanceAsync(node);
        await using var agent = await ServeAsync(
            node,
            requests,
            _ =>
                JsonSerializer.Serialize(
                    new
                    {
                        pair.AccessKeyId,
                        pair.SecretAccessKey,
                        pair.Token,
                        Expiration = DateTimeOffset.UtcNow.AddHours(6).ToString("yyyy-MM-dd'T'HH:mm:ss'Z'"),
                    }
                ),
            "application/json",
            at: new IPEndPoint(IPAddress.Parse("169.254.170.2"), 80)
        );
        node.TheNode.Ipamd!.Start(new Dictionary<string, string> { ["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"] = "/v2/credentials/id" });
        await AssertServesAsync(node, pair.SecretAccessKey, pair.Token);
        Assert.All(requests, request => Assert.Equal("/v2/credentials/id", request.Path));
    }

    /// <summary>A role of a profile is assumed with the keys of its source profile, in a signed call.</summary>
    [Fact]
    public async Task Credentials_come_from_the_role_of_a_profile()
    {
        await using var node = await StartAsync([], start: false);
        var pair = await PairOfInstanceAsync(node);
        var requests = new ConcurrentQueue<Received>();
        await using var sts = await ServeAsync(node, requests, _ => StsAnswer("AssumeRole", pair), "text/xml");
        var file = Path.Combine(node.TheNode.Paths.Folder, "config");
        await File.WriteAllTextAsync(
            file,
            $"""
            [profile cni]
            role_arn = {Role}
            source_profile = keys
            [profile keys]
            aws_access_key_id = AKIASOURCESOURCE0001
            aws_secret_access_key = source

            """,
            Token
        );
        node.TheNode.Ipamd!.Start(
            new Dictionary<string, string>
            {
                ["AWS_PROFILE"] = "cni",
                ["AWS_CONFIG_FILE"] = file,
                ["AWS_ENDPOINT_URL_STS"] = $"http://{StandIn}",
            }
        );
        await AssertServesAsync(node, pair.SecretAccessKey, pair.Token);
        var request = Assert.Single(requests);
        Assert.Contains("Action=AssumeRole&", request.Body, StringComparison.Ordinal);
        Assert.Contains("Credential=AKIASOURCESOURCE0001/", request.Authorization, StringComparison.Ordinal);
        Assert.Contains("/us-west-2/sts/", request.Authorization, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("no profile of that name", "[profile other]\nregion = us-west-2\n", "Unable to find the \\\"cni\\\" profile")]
    [InlineData(
        "a missing source",
        "[profile cni]\nrole_arn = arn:aws:iam::1:role/x\nsource_profile = gone\n",
        "its source_profile gone is not in the files"
    )]
    [InlineData(
        "a chain of roles",
        "[profile cni]\nrole_arn = arn:aws:iam::1:role/x\nsource_profile = b\n[profile b]\nrole_arn = "
            + "arn:aws:iam::1:role/y\nsource_profile = c\n",
        "has a role itself"
    )]
    [InlineData("a malformed file", "<html>this is no profile</html>\n", "CredentialsUnavailable")]
    public async Task Unusable_profile_is_a_problem_that_names_it(string what, string content, string expected)
    {
        await using var node = await StartAsync([], start: false);
        var file = Path.Combine(node.TheNode.Paths.Folder, "config");
        await File.WriteAllTextAsync(file, content, Token);
        node.TheNode.Ipamd!.Start(
            new Dictionary<string, string>
            {
                ["AWS_PROFILE"] = "cni",
                ["AWS_CONFIG_FILE"] = file,
                ["AWS_SHARED_CREDENTIALS_FILE"] = "/nonexistent",
            }
        );
        await AssertLogsAsync(node, expected);
        Assert.True(node.TheNode.Ipamd.ProcessId is not null, $"{what}: the daemon ended");
        await AssertRunsAsync(node);
    }

    [Fact]
    public async Task Missing_credentials_are_a_problem_with_a_hint()
    {
        await using var node = await StartAsync([], start: false);
        node.TheNode.Ipamd!.Start();
        await AssertLogsAsync(node, "give the daemon a role");
        await AssertRunsAsync(node);
    }

    /// <summary>
    /// Starts a lab without instance credentials, without the configuration files of the test machine, and without a cluster.
    /// </summary>
    private static async Task<NodeLab> StartAsync(Dictionary<string, string> environment, bool start = true)
    {
        Dictionary<string, string> all = new()
        {
            ["AWS_EC2_METADATA_DISABLED"] = "true",
            ["AWS_CONFIG_FILE"] = "/nonexistent",
            ["AWS_SHARED_CREDENTIALS_FILE"] = "/nonexistent",
            ["HOME"] = "/nonexistent",
            ["WARM_IP_TARGET"] = "1",
        };
        foreach (var (name, value) in environment)
            all[name] = value;
        var node = await NodeLab.StartAsync(all, beforeReady: _ => { });
        if (start)
            return node;
        await node.TheNode.Ipamd!.KillAsync(Token);
        File.Delete(node.TheNode.Paths.Checkpoint);
        File.Delete(node.TheNode.Paths.IpamdLog);
        return node;
    }

    private static async Task AssertServesAsync(NodeLab node, params string[] secrets)
    {
        await node.Lab.WaitUntilReadyAsync(Token);
        await node.AddAsync("a");
        var status = (await node.StatusAsync()).Answer!.Value.GetRawText();
        Assert.All(
            [.. secrets, CredentialStore.LongLived.SecretAccessKey],
            secret => Assert.DoesNotContain(secret, node.Log + status, StringComparison.Ordinal)
        );
    }

    /// <summary>The failure is retried and does not end the daemon.</summary>
    private static async Task AssertRunsAsync(NodeLab node)
    {
        var (exitCode, answer) = await node.StatusAsync();
        Assert.NotNull(answer);
        Assert.NotEqual(0, exitCode);
        Assert.DoesNotContain("level=fatal", node.Log, StringComparison.Ordinal);
    }

    private static async Task AssertLogsAsync(NodeLab node, string text, params string[] secrets)
    {
        try
        {
            await Eventually.TrueAsync(() => node.Log.Contains(text, StringComparison.Ordinal), TimeSpan.FromSeconds(30));
        }
        catch (TimeoutException)
        {
            Assert.Fail($"'{text}' is not in the log:\n{node.Log}");
        }

        Assert.All(secrets, secret => Assert.DoesNotContain(secret, node.Log, StringComparison.Ordinal));
    }

    /// <summary>Returns the credentials of the instance metadata, which EC2 accepts only with their token.</summary>
    private static async Task<Pair> PairOfInstanceAsync(NodeLab node)
    {
        Requirement.NeedProgram("curl");
        const string metadata = "http://169.254.169.254/latest";
        var json = await node.ExecAsync(
            "sh",
            "-ec",
            $"""
            t=$(curl -sfX PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' {metadata}/api/token)
            r=$(curl -sf -H "X-aws-ec2-metadata-token: $t" {metadata}/meta-data/iam/security-credentials/)
            curl -sf -H "X-aws-ec2-metadata-token: $t" {metadata}/meta-data/iam/security-credentials/$r
            """
        );
        return JsonSerializer.Deserialize<Pair>(json)!;
    }

    private static string StsAnswer(string action, Pair pair) =>
        $"""
            <{action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><{action}Result><Credentials><AccessKeyId>{pair.AccessKeyId}</AccessKeyId><SecretAccessKey>{pair.SecretAccessKey}</SecretAccessKey>
            <SessionToken>{pair.Token}</SessionToken><Expiration>{DateTimeOffset.UtcNow.AddHours(
                6
            ):yyyy-MM-dd'T'HH:mm:ss'Z'}</Expiration></Credentials></{action}Result></{action}Response>
            """;

    /// <summary>Starts a server on the node that stands in for an AWS service.</summary>
    private static Task<NamespaceServer> ServeAsync(
        NodeLab node,
        ConcurrentQueue<Received> requests,
        Func<string, string> answer,
        string type,
        int status = 200,
        IPEndPoint? at = null
    ) =>
        NamespaceServer.StartAsync(
            [new ListenPoint(node.TheNode.Network, at ?? StandIn)],
            async context =>
            {
                using var reader = new StreamReader(context.Request.Body, Encoding.UTF8);
                var body = await reader.ReadToEndAsync(context.RequestAborted);
                requests.Enqueue(new Received(context.Request.Path, context.Request.Headers.Authorization.ToString(), body));
                context.Response.StatusCode = status;
                context.Response.ContentType = type;
                await context.Response.WriteAsync(answer(body), context.RequestAborted);
            },
            NullLoggerProvider.Instance,
            Token
        );

    private sealed record Received(string Path, string Authorization, string Body);

    private sealed record Pair(string AccessKeyId, string SecretAccessKey, string Token);
}
