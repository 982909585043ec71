// SPDX-License-Identifier: Apache-2.0
using Xunit;

namespace VpcCni.Chart.Tests;

/// <summary>Validates values with values.schema.json and the validator of Helm.</summary>
public sealed class SchemaTests
{
    [Theory]
    [InlineData("of-aws-vpc-cni.yaml")]
    [InlineData("of-aws-vpc-cni-1.23.1.yaml")]
    [InlineData("prefixes.yaml")]
    [InlineData("custom-networking.yaml")]
    [InlineData("monitoring.yaml")]
    public void Values_files_are_valid(string file)
    {
        var outcome = HelmRenderer.TryRender([], File.ReadAllText(HelmRenderer.ValuesFile(file)), HelmRenderer.WithImage);
        Assert.True(outcome.ExitCode == 0, outcome.Errors);
    }

    [Theory]
    [InlineData("tolerance: []", "tolerance")]
    [InlineData("image: {overide: x}", "overide")]
    [InlineData("image: {pullPolicy: Sometimes}", "image.pullPolicy")]
    [InlineData("image: {account: \"1234\"}", "image.account")]
    [InlineData("env: [{name: A, value: b}]", "env")]
    [InlineData("env: {A: {b: c}}", "env.A")]
    [InlineData("env: {\"a b\": c}", "env")]
    [InlineData("init: {environment: {}}", "environment")]
    [InlineData("eniConfig: {create: true, subnets: {a: {securityGroups: [sg-1]}}}", "id")]
    [InlineData("eniConfig: {create: true, subnets: {a: {id: vpc-1}}}", "eniConfig.subnets.a.id")]
    [InlineData("serviceAccount: {annotations: [x]}", "serviceAccount.annotations")]
    [InlineData("livenessProbe: {command: [x]}", "command")]
    [InlineData("livenessProbeTimeoutSeconds: 0", "livenessProbeTimeoutSeconds")]
    [InlineData("updateStrategy: {type: Recreate}", "updateStrategy.type")]
    [InlineData("securityContext: {capabilities: {adds: [NET_ADMIN]}}", "adds")]
    [InlineData("securityContext: {privileged: \"yes\"}", "securityContext.privileged")]
    [InlineData("enableNetworkPolicy: maybe", "enableNetworkPolicy")]
    [InlineData("podMonitor: {enabled: true}", "enabled")]
    [InlineData("podMonitor: {interval: often}", "podMonitor.interval")]
    [InlineData("podMonitor: {relabelings: {}}", "podMonitor.relabelings")]
    [InlineData("podMonitor: {annotations: [x]}", "podMonitor.annotations")]
    [InlineData("extraEnv: {A: b}", "extraEnv")]
    [InlineData("extraEnv: [{value: b}]", "name")]
    [InlineData("extraEnv: [{name: A, value: 1}]", "extraEnv.0.value")]
    [InlineData("extraEnv: [{name: A, from: {}}]", "from")]
    [InlineData("resources: {request: {cpu: 1}}", "request")]
    public void Invalid_value_is_rejected_with_its_path(string values, string named)
    {
        var outcome = HelmRenderer.TryRender([], HelmRenderer.WithImage, values);
        Assert.NotEqual(0, outcome.ExitCode);
        Assert.Contains("schema", outcome.Errors, StringComparison.Ordinal);
        Assert.Contains(named, outcome.Errors, StringComparison.Ordinal);
    }
}
