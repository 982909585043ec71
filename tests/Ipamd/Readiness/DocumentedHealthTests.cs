// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Readiness;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Ipamd.Tests.Readiness;

public sealed class DocumentedHealthTests
{
    [Fact]
    public void Every_reason_is_documented()
    {
        var page = GeneratedFile.Read("docs/troubleshooting.md");
        Assert.All(Enum.GetNames<HealthReason>(), reason => Assert.Contains($"`{reason}`", page, StringComparison.Ordinal));
    }
}
