// SPDX-License-Identifier: Apache-2.0
using VpcCni.Lab.KubeApi.Store;
using Xunit;

namespace VpcCni.Lab.Tests.KubeApi;

/// <summary>Tests the format of ages.</summary>
public sealed class HumanDurationTests
{
    [Theory]
    [InlineData(0, "0s")]
    [InlineData(119, "119s")]
    [InlineData(120, "2m")]
    [InlineData(125, "2m5s")]
    [InlineData(600, "10m")]
    [InlineData(3 * 3600, "3h")]
    [InlineData(3 * 3600 + 61, "3h1m")]
    [InlineData(9 * 3600 + 61, "9h")]
    [InlineData(50 * 3600, "2d2h")]
    [InlineData(9 * 86400, "9d")]
    [InlineData(800L * 86400, "2y70d")]
    [InlineData(-30, "<invalid>")]
    public void Age_is_formatted_as_kubectl_does(long seconds, string expected) =>
        Assert.Equal(expected, HumanDuration.Text(TimeSpan.FromSeconds(seconds)));

    [Fact]
    public void Age_of_an_empty_timestamp_is_unknown() => Assert.Equal("<unknown>", HumanDuration.Since("", DateTimeOffset.UnixEpoch));
}
