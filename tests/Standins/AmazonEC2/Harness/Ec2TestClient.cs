// SPDX-License-Identifier: Apache-2.0
using Amazon.EC2;
using Amazon.Runtime;
using VpcCni.Tests.Http;

namespace VpcCni.Standins.Tests.AmazonEC2;

/// <summary>A client for a scripted server: static credentials, no retries.</summary>
internal static class Ec2TestClient
{
    public static AmazonEC2Client For(ScriptedHttpServer server, AWSCredentials? credentials = null) => new(
        credentials ?? new BasicAWSCredentials("AKIDEXAMPLE", "secret"),
        new AmazonEC2Config { ServiceURL = server.Url.ToString(), AuthenticationRegion = "eu-west-1", MaxErrorRetry = 0 });
}
