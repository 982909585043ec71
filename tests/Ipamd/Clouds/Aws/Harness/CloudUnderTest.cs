// SPDX-License-Identifier: Apache-2.0
using System.Collections.Concurrent;
using Amazon.Runtime;
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.Clouds.Aws;
using VpcCni.Ipamd.Clouds.Aws.Imds;
using VpcCni.Ipamd.Hosting;

namespace VpcCni.Ipamd.Tests.Clouds.Aws;

/// <summary>An <see cref="Ec2"/> with a fake metadata service and an EC2 with answers queued by action.</summary>
internal sealed class CloudUnderTest : IAsyncDisposable
{
    private readonly ConcurrentDictionary<string, ConcurrentQueue<Reply>> _answers = new(StringComparer.Ordinal);

    private CloudUnderTest(FakeImds imds) => Imds = imds;

    public FakeImds Imds { get; }

    public ScriptedHttpServer Ec2 { get; private set; } = null!;

    public Ec2 Cloud { get; private set; } = null!;

    /// <summary>Attempts of EC2 calls.</summary>
    public ConcurrentQueue<CloudAttempt> Attempts { get; } = new();

    /// <summary>Requests to the instance metadata.</summary>
    public ConcurrentQueue<CloudAttempt> MetadataAttempts { get; } = new();

    public static async Task<CloudUnderTest> StartAsync(Func<AwsCloudOptions, AwsCloudOptions>? change = null)
    {
        var test = new CloudUnderTest(await FakeImds.StartAsync());
        test.Ec2 = await ScriptedHttpServer.StartAsync(test.Answer);
        var options = new AwsCloudOptions
        {
            Endpoint = test.Ec2.Url,
            Metadata = new ImdsOptions { Endpoint = test.Imds.Url },
            Credentials = new BasicAWSCredentials("AKIDEXAMPLE", "secret"),
            Backoff = new(TimeSpan.FromMilliseconds(1), TimeSpan.FromSeconds(2), randomShare: 1),
        };
        test.Cloud = new Ec2(
            change?.Invoke(options) ?? options,
            TimeProvider.System,
            new LockedRandom(new Random(1)),
            attempt => (attempt.Operation == ImdsClient.MetadataOperation ? test.MetadataAttempts : test.Attempts).Enqueue(attempt)
        );
        test.On(
            "DescribeSubnets",
            "<XResponse><subnetSet><item><subnetId>subnet-1</subnetId><cidrBlock>10.0.0.0/24</cidrBlock></item></subnetSet></XResponse>"
        );
        return test;
    }

    /// <summary>Queues an answer; the last one of a queue is repeated.</summary>
    public CloudUnderTest On(string action, string body) => On(action, Reply.Ok(body));

    public CloudUnderTest On(string action, Reply reply)
    {
        _answers.GetOrAdd(action, _ => new ConcurrentQueue<Reply>()).Enqueue(reply);
        return this;
    }

    /// <summary>Removes all queued answers, including those of this class.</summary>
    public CloudUnderTest Instead(string action, string body)
    {
        _answers.TryRemove(action, out _);
        return On(action, body);
    }

    public static Reply Error(string code, string message, int status = 400) =>
        new(
            status,
            $"<Response><Errors><Error><Code>{code}</Code><Message>"
                + $"{message}</Message></Error></Errors><RequestID>req-1</RequestID></Response>"
        );

    /// <summary>The calls of one action as decoded forms, without Action and Version, sorted.</summary>
    public List<string> Calls(string action) =>
        [
            .. Ec2
                .Requests.Select(request => request.Form)
                .Where(form => form["Action"] == action)
                .Select(form =>
                    string.Join(
                        '&',
                        form.Where(pair => pair.Key is not ("Action" or "Version"))
                            .OrderBy(pair => pair.Key, StringComparer.Ordinal)
                            .Select(pair => $"{pair.Key}={pair.Value}")
                    )
                ),
        ];

    public async ValueTask DisposeAsync()
    {
        Cloud.Dispose();
        await Ec2.DisposeAsync();
        await Imds.DisposeAsync();
    }

    private Reply Answer(ReceivedRequest request)
    {
        if (!_answers.TryGetValue(request.Form["Action"], out var queue))
            return Error("InvalidAction", $"no answer for {request.Form["Action"]}");
        if (queue.Count > 1 && queue.TryDequeue(out var reply))
            return reply;
        return queue.TryPeek(out var last) ? last : Error("InvalidAction", "empty queue");
    }
}
