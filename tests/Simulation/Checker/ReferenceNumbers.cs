// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Simulation.Tests.Checker;

/// <summary>Priorities of rules and numbers of route tables of the AWS VPC CNI, written apart from the daemon's.</summary>
internal static class ReferenceNumbers
{
    internal const int ToPod = 512;
    internal const int Mark = 1024;
    internal const int ExternalService = 1535;
    internal const int FromPod = 1536;
    internal const int FromInterface = 32765;
    internal const int MainRule = 32766;
    internal const int FirstInterfaceTable = 2;
}
