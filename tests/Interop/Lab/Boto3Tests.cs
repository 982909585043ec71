// SPDX-License-Identifier: Apache-2.0
using VpcCni.Lab.VpcModel;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Interop.Tests.Lab;

/// <summary>Tests every operation of the lab with boto3 and its response parser.</summary>
public sealed class Boto3Tests
{
    private const string Script = """
        import sys, boto3
        from botocore.exceptions import ClientError

        subnet, group, instance, primary = sys.argv[1:5]
        ec2 = boto3.client("ec2")

        def refused(code, call, **arguments):
            try:
                call(**arguments)
            except ClientError as error:
                assert error.response["Error"]["Code"] == code, error
                assert error.response["ResponseMetadata"]["RequestId"], error.response
                return error.response["Error"]["Message"]
            raise AssertionError(f"{call.__name__} was not refused with {code}")

        # Life of an interface, with secondary addresses.
        created = ec2.create_network_interface(
            SubnetId=subnet, Groups=[group], Description="aws-K8S-" + instance, SecondaryPrivateIpAddressCount=2, ClientToken="token-1",
            TagSpecifications=[{"ResourceType": "network-interface", "Tags": [{"Key": "node.k8s.amazonaws.com/instance_id", "Value": instance}, {"Key": "empty", "Value": ""}]}])
        eni = created["NetworkInterface"]
        id = eni["NetworkInterfaceId"]
        assert created["ClientToken"] == "token-1" and eni["Status"] == "available" and eni["SubnetId"] == subnet, created
        assert [a["Primary"] for a in eni["PrivateIpAddresses"]] == [True, False, False], eni
        assert eni["Groups"] == [{"GroupId": group, "GroupName": "nodes"}], eni
        assert {t["Key"]: t["Value"] for t in eni["TagSet"]} == {"node.k8s.amazonaws.com/instance_id": instance, "empty": ""}, eni
        refused("IdempotentParameterMismatch", ec2.create_network_interface, SubnetId=subnet, ClientToken="token-1")

        attachment = ec2.attach_network_interface(NetworkInterfaceId=id, InstanceId=instance, DeviceIndex=1)["AttachmentId"]
        ec2.modify_network_interface_attribute(NetworkInterfaceId=id, Attachment={"AttachmentId": attachment, "DeleteOnTermination": True})
        ec2.modify_network_interface_attribute(NetworkInterfaceId=id, Groups=[group])
        ec2.modify_network_interface_attribute(NetworkInterfaceId=id, Description={"Value": "changed + encoded & more"})
        ec2.modify_network_interface_attribute(NetworkInterfaceId=id, SourceDestCheck={"Value": False})
        seen = ec2.describe_network_interfaces(NetworkInterfaceIds=[id])["NetworkInterfaces"][0]
        assert seen["Attachment"]["DeleteOnTermination"] and seen["Attachment"]["Status"] == "attached" and seen["Attachment"]["InstanceId"] == instance, seen
        assert seen["Attachment"]["AttachTime"].tzinfo is not None and seen["Status"] == "in-use", seen
        assert seen["Description"] == "changed + encoded & more" and seen["SourceDestCheck"] is False, seen

        # Addresses and prefixes of both families.
        added = ec2.assign_private_ip_addresses(NetworkInterfaceId=id, SecondaryPrivateIpAddressCount=3)["AssignedPrivateIpAddresses"]
        assert len(added) == 3, added
        prefixes = [p["Ipv4Prefix"] for p in ec2.assign_private_ip_addresses(NetworkInterfaceId=id, Ipv4PrefixCount=2)["AssignedIpv4Prefixes"]]
        assert len(prefixes) == 2 and all(p.endswith("/28") for p in prefixes), prefixes
        assert refused("PrivateIpAddressLimitExceeded", ec2.assign_private_ip_addresses, NetworkInterfaceId=id, SecondaryPrivateIpAddressCount=3) == "Number of private addresses will exceed limit."
        ec2.unassign_private_ip_addresses(NetworkInterfaceId=id, PrivateIpAddresses=[a["PrivateIpAddress"] for a in added])
        ec2.unassign_private_ip_addresses(NetworkInterfaceId=id, Ipv4Prefixes=prefixes[:1])
        refused("InvalidParameterValue", ec2.unassign_private_ip_addresses, NetworkInterfaceId=id, PrivateIpAddresses=[added[0]["PrivateIpAddress"]])
        six = ec2.assign_ipv6_addresses(NetworkInterfaceId=id, Ipv6AddressCount=2)["AssignedIpv6Addresses"]
        six_prefixes = ec2.assign_ipv6_addresses(NetworkInterfaceId=id, Ipv6PrefixCount=1)["AssignedIpv6Prefixes"]
        assert len(six) == 2 and six_prefixes[0].endswith("/80"), (six, six_prefixes)
        assert ec2.unassign_ipv6_addresses(NetworkInterfaceId=id, Ipv6Addresses=six[:1])["UnassignedIpv6Addresses"] == six[:1]
        assert ec2.unassign_ipv6_addresses(NetworkInterfaceId=id, Ipv6Prefixes=six_prefixes)["UnassignedIpv6Prefixes"] == six_prefixes
        seen = ec2.describe_network_interfaces(Filters=[{"Name": "attachment.instance-id", "Values": [instance]}, {"Name": "attachment.device-index", "Values": ["1"]}])["NetworkInterfaces"][0]
        assert [p["Ipv4Prefix"] for p in seen["Ipv4Prefixes"]] == prefixes[1:] and [a["Ipv6Address"] for a in seen["Ipv6Addresses"]] == six[1:], seen
        assert len(seen["PrivateIpAddresses"]) == 3 and seen.get("Ipv6Prefixes", []) == [], seen

        refused("InvalidParameterValue", ec2.unassign_ipv6_addresses, NetworkInterfaceId=id, Ipv6Prefixes=six_prefixes)
        refused("InvalidParameterValue", ec2.assign_ipv6_addresses, NetworkInterfaceId=id, Ipv6AddressCount=50)

        # An interface of an IPv6 node: an address when it is created, then one prefix.
        made = ec2.create_network_interface(SubnetId=subnet, Ipv6AddressCount=1, EnablePrimaryIpv6=True)["NetworkInterface"]
        address = made["Ipv6Addresses"][0]
        assert address["IsPrimaryIpv6"] is True and made["Ipv6Address"] == address["Ipv6Address"], made
        refused("InvalidParameterValue", ec2.unassign_ipv6_addresses, NetworkInterfaceId=made["NetworkInterfaceId"], Ipv6Addresses=[address["Ipv6Address"]])
        one = ec2.assign_ipv6_addresses(NetworkInterfaceId=made["NetworkInterfaceId"], Ipv6PrefixCount=1)["AssignedIpv6Prefixes"]
        made = ec2.describe_network_interfaces(Filters=[{"Name": "ipv6-addresses.ipv6-address", "Values": [address["Ipv6Address"]]}])["NetworkInterfaces"][0]
        assert [p["Ipv6Prefix"] for p in made["Ipv6Prefixes"]] == one, made
        ec2.delete_network_interface(NetworkInterfaceId=made["NetworkInterfaceId"])
        chosen = ec2.create_network_interface(SubnetId=subnet, Ipv6Prefixes=[{"Ipv6Prefix": one[0]}])["NetworkInterface"]
        assert [p["Ipv6Prefix"] for p in chosen["Ipv6Prefixes"]] == one and chosen["Ipv6Addresses"] == [], chosen
        ec2.delete_network_interface(NetworkInterfaceId=chosen["NetworkInterfaceId"])

        # Timeouts of connection tracking, which a node copies from its primary interface to new ones.
        timeouts = {"TcpEstablishedTimeout": 600, "UdpStreamTimeout": 120, "UdpTimeout": 45}
        ec2.modify_network_interface_attribute(NetworkInterfaceId=primary, ConnectionTrackingSpecification=timeouts)
        assert ec2.describe_network_interfaces(NetworkInterfaceIds=[primary])["NetworkInterfaces"][0]["ConnectionTrackingConfiguration"] == timeouts
        refused("InvalidParameterCombination", ec2.modify_network_interface_attribute, NetworkInterfaceId=primary, ConnectionTrackingSpecification=timeouts, Groups=[group])
        refused("InvalidParameterValue", ec2.create_network_interface, SubnetId=subnet, ConnectionTrackingSpecification={"UdpTimeout": 61})
        timed = ec2.create_network_interface(SubnetId=subnet, Ipv6AddressCount=1, ConnectionTrackingSpecification={"UdpTimeout": 60})["NetworkInterface"]
        assert timed["ConnectionTrackingConfiguration"] == {"UdpTimeout": 60}, timed
        ec2.delete_network_interface(NetworkInterfaceId=timed["NetworkInterfaceId"])

        # Refusals around attachments.
        other = ec2.create_network_interface(SubnetId=subnet, Ipv4PrefixCount=1)["NetworkInterface"]["NetworkInterfaceId"]
        third = ec2.create_network_interface(SubnetId=subnet)["NetworkInterface"]["NetworkInterfaceId"]
        refused("InvalidNetworkInterface.InUse", ec2.attach_network_interface, NetworkInterfaceId=id, InstanceId=instance, DeviceIndex=2)
        refused("InvalidParameterValue", ec2.attach_network_interface, NetworkInterfaceId=other, InstanceId=instance, DeviceIndex=1)
        ec2.attach_network_interface(NetworkInterfaceId=other, InstanceId=instance, DeviceIndex=2)
        assert refused("AttachmentLimitExceeded", ec2.attach_network_interface, NetworkInterfaceId=third, InstanceId=instance, DeviceIndex=3) == "Interface count 4 exceeds the limit for m5.large"
        primary_attachment = ec2.describe_network_interfaces(NetworkInterfaceIds=[primary])["NetworkInterfaces"][0]["Attachment"]["AttachmentId"]
        refused("OperationNotPermitted", ec2.detach_network_interface, AttachmentId=primary_attachment)
        refused("DryRunOperation", ec2.delete_network_interface, NetworkInterfaceId=third, DryRun=True)

        # Describing the rest.
        described = ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]
        assert [n["Attachment"]["DeviceIndex"] for n in described["NetworkInterfaces"]] == [0, 1, 2], described
        assert described["State"] == {"Code": 16, "Name": "running"} and described["Placement"]["AvailabilityZone"] == "us-west-2a", described
        kind = ec2.describe_instance_types(InstanceTypes=["p4d.24xlarge"])["InstanceTypes"][0]
        assert kind["NetworkInfo"]["MaximumNetworkInterfaces"] == 60 and len(kind["NetworkInfo"]["NetworkCards"]) == 4 and kind["Hypervisor"] == "nitro", kind
        assert kind["NetworkInfo"]["Ipv6Supported"] is True and kind["NetworkInfo"]["Ipv6AddressesPerInterface"] == 50, kind
        one = ec2.describe_subnets(SubnetIds=[subnet])["Subnets"][0]
        assert one["CidrBlock"] == "10.0.1.0/24" and one["Ipv6CidrBlockAssociationSet"][0]["Ipv6CidrBlock"] == "2600:1f14:0:101::/64", one
        assert one["AssignIpv6AddressOnCreation"] is False and one["Ipv6Native"] is False, one
        vpc = ec2.describe_vpcs(VpcIds=[one["VpcId"]])["Vpcs"][0]
        assert vpc["Ipv6CidrBlockAssociationSet"][0]["Ipv6CidrBlock"] == "2600:1f14:0:100::/56", vpc
        assert [a["CidrBlock"] for a in vpc["CidrBlockAssociationSet"]] == ["10.0.0.0/16"], vpc
        assert ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]["GroupName"] == "nodes"

        # Rules of security groups.
        def permissions(direction=""):
            return ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]["IpPermissions" + direction]
        everywhere = {"IpProtocol": "-1", "UserIdGroupPairs": [], "IpRanges": [{"CidrIp": "0.0.0.0/0"}], "Ipv6Ranges": [], "PrefixListIds": []}
        assert permissions() == [] and permissions("Egress") == [everywhere], permissions("Egress")
        tcp = {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 90, "IpRanges": [{"CidrIp": "10.1.2.3/8", "Description": "a & b"}], "Ipv6Ranges": [{"CidrIpv6": "fd00::/8"}], "UserIdGroupPairs": [{"GroupId": group}]}
        added = ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[tcp])["SecurityGroupRules"]
        assert len(added) == 3 and added[0]["CidrIpv4"] == "10.0.0.0/8" and added[0]["IsEgress"] is False and added[0]["SecurityGroupRuleId"].startswith("sgr-"), added
        assert added[2]["ReferencedGroupInfo"]["GroupId"] == group, added
        seen = permissions()[0]
        assert seen["FromPort"] == 80 and seen["IpRanges"] == [{"Description": "a & b", "CidrIp": "10.0.0.0/8"}] and seen["UserIdGroupPairs"][0]["GroupId"] == group, seen
        assert 'peer: 10.0.0.0/8, TCP, from port: 80, to port: 90, ALLOW' in refused("InvalidPermission.Duplicate", ec2.authorize_security_group_ingress, GroupId=group, IpPermissions=[tcp])
        refused("InvalidGroup.NotFound", ec2.authorize_security_group_ingress, GroupId="sg-00000000000000000", IpPermissions=[tcp])
        refused("InvalidParameterValue", ec2.authorize_security_group_egress, GroupId=group, IpPermissions=[{"IpProtocol": "tcp", "FromPort": 1, "ToPort": 1, "IpRanges": [{"CidrIp": "10.0.0.0/33"}]}])
        refused("InvalidPermission.Malformed", ec2.authorize_security_group_egress, GroupId=group, IpPermissions=[{"IpProtocol": "-1"}])
        refused("InvalidPermission.NotFound", ec2.revoke_security_group_egress, GroupId=group, IpPermissions=[tcp])
        refused("InvalidSecurityGroupRuleId.NotFound", ec2.revoke_security_group_ingress, GroupId=group, SecurityGroupRuleIds=["sgr-00000000000000000"])
        ec2.revoke_security_group_ingress(GroupId=group, SecurityGroupRuleIds=[added[0]["SecurityGroupRuleId"]])
        assert permissions()[0]["IpRanges"] == [], permissions()
        ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=[{"IpProtocol": "6", "FromPort": 80, "ToPort": 90, "Ipv6Ranges": [{"CidrIpv6": "fd00::/8"}], "UserIdGroupPairs": [{"GroupId": group}]}])
        assert permissions() == [], permissions()
        ec2.revoke_security_group_egress(GroupId=group, IpPermissions=[{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}])
        assert permissions("Egress") == [], permissions("Egress")
        ec2.authorize_security_group_egress(GroupId=group, IpPermissions=[{"IpProtocol": "icmp", "FromPort": -1, "ToPort": -1, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}])
        assert permissions("Egress")[0]["FromPort"] == -1, permissions("Egress")

        # Tags.
        ec2.create_tags(Resources=[third, subnet], Tags=[{"Key": "k", "Value": "v"}])
        found = ec2.describe_tags(Filters=[{"Name": "key", "Values": ["k"]}])["Tags"]
        assert sorted(t["ResourceId"] for t in found) == sorted([third, subnet]), found
        ec2.delete_tags(Resources=[third], Tags=[{"Key": "k"}])
        assert ec2.describe_network_interfaces(NetworkInterfaceIds=[third])["NetworkInterfaces"][0]["TagSet"] == []

        # Paging.
        many = [ec2.create_network_interface(SubnetId=subnet)["NetworkInterface"]["NetworkInterfaceId"] for _ in range(12)]
        pages = list(ec2.get_paginator("describe_network_interfaces").paginate(Filters=[{"Name": "status", "Values": ["available"]}], PaginationConfig={"PageSize": 5}))
        assert [len(p["NetworkInterfaces"]) for p in pages] == [5, 5, 3], pages
        assert [n["NetworkInterfaceId"] for p in pages for n in p["NetworkInterfaces"]] == [third] + many, pages

        # The end.
        ec2.detach_network_interface(AttachmentId=attachment)
        ec2.get_waiter("network_interface_available").wait(NetworkInterfaceIds=[id], WaiterConfig={"Delay": 1, "MaxAttempts": 5})
        for each in [id, third] + many:
            ec2.delete_network_interface(NetworkInterfaceId=each)
        refused("InvalidNetworkInterfaceID.NotFound", ec2.describe_network_interfaces, NetworkInterfaceIds=[id])
        print("all well")
        """;

    [Fact]
    public async Task Boto3_calls_every_operation_of_the_lab()
    {
        var python = Requirement.NeedProgram("python3");
        await using var lab = await LabOnLoopback.StartAsync();
        Requirement.Need((await lab.RunAsync(python, ["-c", "import boto3"])).ExitCode == 0, "the Python package boto3");
        var (exitCode, output, error) = await lab.RunAsync(
            python,
            ["-c", Script, lab.Subnet.Id.Value, lab.Group.Id.Value, lab.Instance.Id.Value, lab.Instance.PrimaryInterface.Value]
        );
        Assert.True(exitCode == 0 && output.Trim() == "all well", output + error);
        Assert.Empty(WorldInvariants.Check(lab.World));
    }

    [Fact]
    public async Task Boto3_reads_its_credentials_and_region_from_the_metadata()
    {
        var python = Requirement.NeedProgram("python3");
        await using var lab = await LabOnLoopback.StartAsync();
        Requirement.Need((await lab.RunAsync(python, ["-c", "import boto3"])).ExitCode == 0, "the Python package boto3");
        const string Ask = """
            import boto3
            from botocore.utils import IMDSRegionProvider
            session = boto3.Session()
            assert session.get_credentials().method == "iam-role", session.get_credentials().method
            assert IMDSRegionProvider(session._session).provide() == "us-west-2"
            print(session.client("ec2").describe_vpcs()["Vpcs"][0]["VpcId"])
            """;
        var (exitCode, output, error) = await lab.RunAsync(python, ["-c", Ask], fromMetadata: true);
        Assert.True(exitCode == 0, error);
        Assert.Equal(lab.World.Vpcs.Single().Id.Value, output.Trim());
    }
}
