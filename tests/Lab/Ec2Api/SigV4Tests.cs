// SPDX-License-Identifier: Apache-2.0
using System.Text;
using VpcCni.Lab.Ec2Api;
using Xunit;

namespace VpcCni.Lab.Tests.Ec2Api;

/// <summary>
/// Tests AWS's published examples of Signature Version 4 (aws4_testsuite and the example in the IAM guide), which all use the same key,
/// date and scope.
/// </summary>
public sealed class SigV4Tests
{
    private const string Secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
    private const string Time = "20150830T123600Z";
    private static readonly SignatureScope Scope = new("20150830", "us-east-1", "service");

    public sealed record Case(string Name, string Method, string Path, string Query, string[] Headers, string Body, string Signature)
    {
        public override string ToString() => Name;
    }

    public static TheoryData<Case> Suite { get; } =
    [
        new Case("get-vanilla", "GET", "/", "", [], "", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        new Case(
            "get-vanilla-query-order-key-case",
            "GET",
            "/",
            "Param2=value2&Param1=value1",
            [],
            "",
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"
        ),
        new Case(
            "get-vanilla-empty-query-key",
            "GET",
            "/",
            "Param1=value1",
            [],
            "",
            "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb"
        ),
        new Case(
            "get-header-value-trim",
            "GET",
            "/",
            "",
            ["my-header1: value1", "my-header2: \"a   b   c\""],
            "",
            "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"
        ),
        new Case("post-vanilla", "POST", "/", "", [], "", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
        new Case(
            "post-x-www-form-urlencoded",
            "POST",
            "/",
            "",
            ["content-type:application/x-www-form-urlencoded"],
            "Param1=value1",
            "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"
        ),
    ];

    [Theory]
    [MemberData(nameof(Suite))]
    public void Signature_of_a_suite_request_equals_the_published_one(Case example)
    {
        var headers = example
            .Headers.Select(line => line.Split(':', 2))
            .ToDictionary(pair => pair[0], pair => (IReadOnlyList<string>)[pair[1]]);
        headers["host"] = ["example.amazonaws.com"];
        headers["x-amz-date"] = [Time];
        var request = new SignedRequest(example.Method, example.Path, example.Query, headers, Encoding.UTF8.GetBytes(example.Body));
        var canonical = SigV4.CanonicalRequest(request, [.. headers.Keys.Order(StringComparer.Ordinal)], SigV4.Hash(request.Body.Span));
        Assert.Equal(example.Signature, SigV4.Sign(SigV4.SigningKey(Secret, Scope), SigV4.StringToSign(Time, Scope, canonical)));
    }

    [Fact]
    public void Signing_key_and_signature_of_the_guides_example_equal_the_published_ones()
    {
        var scope = Scope with { Service = "iam" };
        Assert.Equal(
            "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9",
            Convert.ToHexStringLower(SigV4.SigningKey(Secret, scope))
        );
        var headers = new Dictionary<string, IReadOnlyList<string>>
        {
            ["content-type"] = ["application/x-www-form-urlencoded; charset=utf-8"],
            ["host"] = ["iam.amazonaws.com"],
            ["x-amz-date"] = [Time],
        };
        var request = new SignedRequest("GET", "/", "Action=ListUsers&Version=2010-05-08", headers, ReadOnlyMemory<byte>.Empty);
        var canonical = SigV4.CanonicalRequest(request, ["content-type", "host", "x-amz-date"], SigV4.Hash([]));
        Assert.Equal("f536975d06c0309214f805bb90ccff089219ecd68b2577efef23edd43b7e1a59", SigV4.Hash(Encoding.UTF8.GetBytes(canonical)));
        Assert.Equal(
            "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7",
            SigV4.Sign(SigV4.SigningKey(Secret, scope), SigV4.StringToSign(Time, scope, canonical))
        );
    }

    [Theory]
    [InlineData("/", "/")]
    [InlineData("", "/")]
    [InlineData("//", "/")]
    [InlineData("/./example", "/example")]
    [InlineData("/example/..", "/")]
    [InlineData("/example1/example2/../..", "/")]
    [InlineData("//example//", "/example/")]
    [InlineData("/example%20space/", "/example%2520space/")]
    public void Path_is_normalised_and_encoded_once_more(string sent, string canonical) =>
        Assert.Equal(canonical, SigV4.CanonicalPath(sent));

    [Theory]
    [InlineData("", "")]
    [InlineData("b=2&a=1", "a=1&b=2")]
    [InlineData("a=2&a=1", "a=1&a=2")]
    [InlineData("flag", "flag=")]
    [InlineData("a=%7E-_.%20%2f+", "a=~-_.%20%2F%2B")]
    [InlineData("a=1&X-Amz-Signature=00", "a=1")]
    public void Query_is_sorted_and_reencoded(string sent, string canonical) => Assert.Equal(canonical, SigV4.CanonicalQuery(sent));
}
