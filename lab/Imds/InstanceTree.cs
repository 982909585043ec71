// SPDX-License-Identifier: Apache-2.0
using System.Globalization;
using System.Text;
using System.Text.Json;
using VpcCni.Lab.Ec2Api;
using VpcCni.Lab.VpcModel;

namespace VpcCni.Lab.Imds;

/// <summary>
/// Builds an instance's metadata, in the categories that ipamd, aws-node and the AWS SDKs read
/// (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-categories.html).
/// </summary>
internal static class InstanceTree
{
    /// <summary>Name of the instance's IAM role.</summary>
    public const string RoleName = "vpc-lab-node";

    private const string Domain = "amazonaws.com";
    private const string TimeFormat = "yyyy-MM-dd'T'HH:mm:ss'Z'";

    /// <summary>Builds the metadata of an instance.</summary>
    /// <param name="metadata">The metadata that the model shows.</param>
    /// <param name="options">Region and owner.</param>
    /// <param name="credentials">The role's current key pair.</param>
    /// <param name="primary">
    /// The current primary interface. The identity (MAC and address) comes from it even when <paramref name="metadata"/> lacks it.
    /// </param>
    public static MetadataTree Build(InstanceMetadata metadata, WorldOptions options, LabCredentials credentials, NetworkInterface primary)
    {
        var tree = new MetadataTree();
        var instance = metadata.Instance;
        var hostName = InterfaceView.PrivateDnsName(primary.PrimaryAddress, options.Region);
        tree.Set("meta-data/instance-id", instance.Id.Value);
        tree.Set("meta-data/instance-type", instance.Type.Name);
        tree.Set("meta-data/instance-life-cycle", "on-demand");
        tree.Set("meta-data/hostname", hostName);
        tree.Set("meta-data/local-hostname", hostName);
        tree.Set("meta-data/local-ipv4", primary.PrimaryAddress.ToString());
        tree.Set("meta-data/ipv6", primary.Ipv6Addresses.FirstOrDefault()?.ToString());
        tree.Set("meta-data/mac", primary.Mac);
        tree.SetLines("meta-data/security-groups", primary.Groups.Select(id => metadata.Groups[id].Name));
        tree.Set("meta-data/placement/availability-zone", instance.Zone);
        tree.Set("meta-data/placement/region", options.Region);
        tree.Set("meta-data/services/domain", Domain);
        tree.Set("meta-data/services/partition", "aws");
        tree.Set(
            "meta-data/iam/info",
            Json(json =>
            {
                json.WriteString("Code", "Success");
                json.WriteString("LastUpdated", Text(Issued(credentials)));
                json.WriteString("InstanceProfileArn", $"arn:aws:iam::{options.OwnerId}:instance-profile/{RoleName}");
                json.WriteString("InstanceProfileId", "AIPAVPCLABVPCLAB00001");
            })
        );
        tree.Set(
            $"meta-data/iam/security-credentials/{RoleName}",
            Json(json =>
            {
                json.WriteString("Code", "Success");
                json.WriteString("LastUpdated", Text(Issued(credentials)));
                json.WriteString("Type", "AWS-HMAC");
                json.WriteString("AccessKeyId", credentials.AccessKeyId);
                json.WriteString("SecretAccessKey", credentials.SecretAccessKey);
                json.WriteString("Token", credentials.SessionToken);
                json.WriteString("Expiration", Text(credentials.Expiration!.Value));
            })
        );
        foreach (var (eni, subnet) in metadata.Interfaces)
            AddInterface(tree, eni, subnet, metadata, options);
        tree.Set(
            "dynamic/instance-identity/document",
            Json(json =>
            {
                json.WriteString("accountId", options.OwnerId);
                json.WriteString("architecture", "x86_64");
                json.WriteString("availabilityZone", instance.Zone);
                json.WriteString("imageId", "ami-0000000000000000f");
                json.WriteString("instanceId", instance.Id.Value);
                json.WriteString("instanceType", instance.Type.Name);
                json.WriteString("pendingTime", Text(instance.LaunchedAt));
                json.WriteString("privateIp", primary.PrimaryAddress.ToString());
                json.WriteString("region", options.Region);
                json.WriteString("version", "2017-09-30");
            })
        );
        return tree;
    }

    private static void AddInterface(
        MetadataTree tree,
        NetworkInterface eni,
        Subnet subnet,
        InstanceMetadata metadata,
        WorldOptions options
    )
    {
        var path = $"meta-data/network/interfaces/macs/{eni.Mac}/";
        var attachment = eni.Attachment!;
        tree.Set(path + "device-number", attachment.DeviceIndex.ToString(CultureInfo.InvariantCulture));
        tree.Set(path + "network-card", attachment.NetworkCard.ToString(CultureInfo.InvariantCulture));
        tree.Set(path + "interface-id", eni.Id.Value);
        tree.Set(path + "mac", eni.Mac);
        tree.Set(path + "owner-id", options.OwnerId);
        tree.Set(path + "subnet-id", eni.Subnet.Value);
        tree.Set(path + "vpc-id", eni.Vpc.Value);
        tree.Set(path + "local-hostname", InterfaceView.PrivateDnsName(eni.PrimaryAddress, options.Region));
        tree.SetLines(path + "security-group-ids", eni.Groups);
        tree.SetLines(path + "security-groups", eni.Groups.Select(id => metadata.Groups[id].Name));

        // Clients rely on the primary address being first.
        tree.SetLines(path + "local-ipv4s", eni.SecondaryAddresses.Prepend(eni.PrimaryAddress));
        tree.SetLines(path + "ipv4-prefix", eni.Ipv4Prefixes);
        tree.SetLines(path + "ipv6s", eni.Ipv6Addresses);
        tree.SetLines(path + "ipv6-prefix", eni.Ipv6Prefixes);
        tree.Set(path + "subnet-ipv4-cidr-block", subnet.Ipv4Range.ToString());
        tree.Set(path + "subnet-ipv6-cidr-blocks", subnet.Ipv6Range?.ToString());
        tree.Set(path + "vpc-ipv4-cidr-block", metadata.Vpc.Ipv4Ranges[0].ToString());
        tree.SetLines(path + "vpc-ipv4-cidr-blocks", metadata.Vpc.Ipv4Ranges);
        tree.SetLines(path + "vpc-ipv6-cidr-blocks", metadata.Vpc.Ipv6Ranges);
    }

    private static DateTimeOffset Issued(LabCredentials credentials) => credentials.Expiration!.Value - CredentialStore.Lifetime;

    private static string Text(DateTimeOffset time) => time.UtcDateTime.ToString(TimeFormat, CultureInfo.InvariantCulture);

    private static string Json(Action<Utf8JsonWriter> body)
    {
        using var stream = new MemoryStream();
        using (
            var json = new Utf8JsonWriter(
                stream,
                new JsonWriterOptions { Indented = true, Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping }
            )
        )
        {
            json.WriteStartObject();
            body(json);
            json.WriteEndObject();
        }

        return Encoding.UTF8.GetString(stream.ToArray());
    }
}
