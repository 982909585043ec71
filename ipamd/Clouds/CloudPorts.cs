// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.Clouds;

/// <summary>The ports of one cloud.</summary>
internal sealed record CloudPorts(
    INodeCloud Node,
    IBlockProvider Blocks,
    IInterfaceProvisioner Interfaces,
    ISecurityGroups Groups,
    ISubnetCatalog Subnets
);

/// <summary>What an adapter needs of the daemon.</summary>
/// <param name="Budget">Every control-plane call is charged to it.</param>
/// <param name="Time">Clock for deadlines and pauses.</param>
/// <param name="Random">Source of jitter.</param>
/// <param name="Loggers">The log.</param>
internal sealed record CloudDependencies(ApiRateLimiter Budget, TimeProvider Time, Random Random, ILoggerFactory Loggers);

/// <summary>Builds the ports of one cloud.</summary>
internal interface ICloudFactory
{
    CloudPorts Create(CloudDependencies dependencies);
}
