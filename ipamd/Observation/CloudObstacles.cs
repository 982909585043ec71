// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.Planning;

namespace VpcCni.Ipamd.Observation;

/// <summary>Maps failures of the cloud to the planner's obstacles.</summary>
internal static class CloudObstacles
{
    public static GrowthObstacleKind KindOf(CloudErrorKind kind) =>
        kind switch
        {
            CloudErrorKind.Throttled => GrowthObstacleKind.Throttled,
            CloudErrorKind.Disabled => GrowthObstacleKind.ProvisioningDisabled,
            CloudErrorKind.InterfaceLimit => GrowthObstacleKind.InterfaceLimit,
            CloudErrorKind.AddressLimit => GrowthObstacleKind.AddressLimit,
            CloudErrorKind.NotPermitted => GrowthObstacleKind.NotPermitted,
            _ => GrowthObstacleKind.CloudFailure,
        };
}
