// SPDX-License-Identifier: Apache-2.0
using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;
using Microsoft.Extensions.Logging.Abstractions;
using VpcCni.Lab.Ec2Api;
using VpcCni.Lab.Fabric;
using VpcCni.Lab.Hosting;
using VpcCni.Lab.VpcModel;
using Xunit;

namespace VpcCni.Lab.Tests.Hosting;

/// <summary>
/// Tests that the lab rejects a fault that can never apply, or whose code EC2 never returns, because a test with it proves nothing.
/// </summary>
public sealed partial class FaultTests : IDisposable
{
    private readonly LabWorld _lab = new(
        new VpcWorld(TimeProvider.System, new Random(1)),
        new NoFabric(),
        TimeProvider.System,
        NullLogger.Instance
    );

    public void Dispose() => _lab.Dispose();

    [Theory]
    [InlineData("AttachNetworkInterfaces", "did you mean AttachNetworkInterface?")]
    [InlineData("assignprivateipaddresses", "did you mean AssignPrivateIpAddresses?")]
    [InlineData("RunInstances", "expected * for all, or one of AssignIpv6Addresses")]
    [InlineData("", "the lab's EC2 API has no operation ''")]
    public void Fault_of_an_unknown_operation_is_rejected(string operation, string expected)
    {
        Assert.Contains(
            expected,
            Assert.Throws<LabException>(() => _lab.Inject(new FaultSpec { Operation = operation, Code = "InternalError" })).Message,
            StringComparison.Ordinal
        );
        Assert.Throws<LabException>(() => _lab.ClearFaults(operation));
        Assert.Empty(_lab.With(world => world.Faults.Rules));
    }

    [Theory]
    [InlineData("RequestLimitExceded", "did you mean RequestLimitExceeded?")]
    [InlineData("insufficientfreeaddressesinsubnet", "did you mean InsufficientFreeAddressesInSubnet?")]
    [InlineData("Teapot", "--any-code")]
    [InlineData("", "a fault needs an error code")]
    public void Fault_with_an_undocumented_code_is_rejected(string code, string expected)
    {
        Assert.Contains(
            expected,
            Assert.Throws<LabException>(() => _lab.Inject(new FaultSpec { Operation = "*", Code = code })).Message,
            StringComparison.Ordinal
        );
        Assert.Empty(_lab.With(world => world.Faults.Rules));
    }

    [Fact]
    public void Fault_with_an_undocumented_code_and_any_code_is_injected()
    {
        _lab.Inject(
            new FaultSpec
            {
                Operation = "AttachNetworkInterface",
                Code = "Teapot",
                AnyCode = true,
            }
        );
        Assert.Equal("Teapot", Assert.Single(_lab.With(world => world.Faults.Rules)).Code);
    }

    [Fact]
    public void Every_operation_and_every_code_of_the_model_can_be_injected()
    {
        foreach (var operation in Ec2Operations.All.Keys.Append("*"))
            _lab.Inject(new FaultSpec { Operation = operation, Code = "RequestLimitExceeded" });
        var codes = Code().Matches(File.ReadAllText(Model())).Select(match => match.Groups["code"].Value).ToArray();
        Assert.True(codes.Length > 20, $"{codes.Length} codes");
        Assert.All(codes, code => Assert.Contains(code, Ec2ErrorCodes.All));
        Assert.Equal(Ec2ErrorCodes.All.Count, Ec2ErrorCodes.All.Distinct().Count());
    }

    private static string Model([CallerFilePath] string here = "") =>
        Path.GetFullPath(Path.Combine(Path.GetDirectoryName(here)!, "..", "..", "..", "lab", "VpcModel", "Ec2FaultException.cs"));

    [GeneratedRegex("new\\(\\s*\"(?<code>[A-Z][A-Za-z0-9.]+)\"", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Code();

    private sealed class NoFabric : IVpcFabric
    {
        public void Attach(FabricInterface attachment) => throw new InvalidOperationException("this test attaches nothing");

        public void Detach(string eniId) => throw new InvalidOperationException("this test attaches nothing");

        public void SetAddresses(string eniId, IReadOnlyList<System.Net.IPNetwork> addresses) =>
            throw new InvalidOperationException("this test attaches nothing");

        public void SetForwarding(string interfaceId, bool mayForward) => throw new InvalidOperationException("this test attaches nothing");

        public void SetRoutes(IReadOnlyList<FabricRoute> routes) => throw new InvalidOperationException("this test attaches nothing");

        public void SetRanges(IReadOnlyList<System.Net.IPNetwork> ranges) =>
            throw new InvalidOperationException("this test attaches nothing");
    }
}
