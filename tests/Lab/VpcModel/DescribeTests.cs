// SPDX-License-Identifier: Apache-2.0
using VpcCni.Lab.VpcModel;
using Xunit;

namespace VpcCni.Lab.Tests.VpcModel;

public sealed class DescribeTests
{
    [Fact]
    public void Interfaces_match_filters_as_ec2_matches_them()
    {
        var test = new TestWorld();
        var instance = test.Launch();
        var attached = test.CreateAttached(instance, device: 1, AddressRequest.Any(1));
        var tagged = test.Create(description: "aws-K8S-i-1");
        var elsewhere = test.Create(subnet: test.SubnetB.Id);
        test.World.CreateTags(
            [tagged.Id.Value],
            new Dictionary<string, string> { ["node.k8s.amazonaws.com/instance_id"] = instance.Id.Value, ["Name"] = "one" }
        );
        var all = new[] { instance.PrimaryInterface, attached.Id, tagged.Id, elsewhere.Id };

        (Filter[] Filters, EniId[] Expected)[] table =
        [
            ([], all),
            ([new("attachment.instance-id", instance.Id.Value)], [instance.PrimaryInterface, attached.Id]),
            ([new("attachment.device-index", "1")], [attached.Id]),
            ([new("attachment.attachment-id", attached.Attachment!.Id.Value)], [attached.Id]),
            ([new("attachment.status", "attached")], [instance.PrimaryInterface, attached.Id]),
            ([new("attachment.delete-on-termination", "true")], [instance.PrimaryInterface]),
            ([new("status", "available")], [tagged.Id, elsewhere.Id]),
            ([new("status", "available", "in-use")], all),
            ([new("status", "available"), new("subnet-id", test.SubnetA.Id.Value)], [tagged.Id]),
            ([new("availability-zone", "us-west-2b")], [elsewhere.Id]),
            ([new("vpc-id", test.Vpc.Id.Value)], all),
            ([new("vpc-id", "vpc-0")], []),
            ([new("network-interface-id", tagged.Id.Value, elsewhere.Id.Value)], [tagged.Id, elsewhere.Id]),
            ([new("tag:Name", "one")], [tagged.Id]),
            ([new("tag:Name", "o*")], [tagged.Id]),
            ([new("tag:Name", "o?e")], [tagged.Id]),
            ([new("tag:Name", "o?")], []),
            ([new("tag:name", "one")], []),
            ([new("tag-key", "node.k8s.amazonaws.com/instance_id")], [tagged.Id]),
            ([new("tag-value", "one")], [tagged.Id]),
            ([new("description", "aws-K8S-*")], [tagged.Id]),
            ([new("mac-address", attached.Mac)], [attached.Id]),
            ([new("group-id", test.Group.Id.Value)], all),
            ([new("addresses.private-ip-address", attached.SecondaryAddresses[0].ToString())], [attached.Id]),
            ([new("private-ip-address", attached.SecondaryAddresses[0].ToString())], []),
        ];
        foreach (var (filters, expected) in table)
            Assert.Equal(expected, test.World.DescribeNetworkInterfaces(new Query { Filters = filters }).Items.Select(eni => eni.Id));
        test.AssertRejected(
            "InvalidParameterValue",
            () => test.World.DescribeNetworkInterfaces(new Query { Filters = [new Filter("colour", "red")] })
        );
        test.AssertRejected(
            "InvalidParameterValue",
            () => test.World.DescribeNetworkInterfaces(new Query { Filters = [new Filter("status")] })
        );
        test.AssertRejected(
            "InvalidNetworkInterfaceID.NotFound",
            () => test.World.DescribeNetworkInterfaces(new Query { Ids = [tagged.Id.Value, "eni-0"] })
        );
    }

    [Fact]
    public void Pages_together_contain_all_items_in_order()
    {
        var test = new TestWorld();
        var all = Enumerable.Range(0, 23).Select(_ => test.Create().Id).ToArray();
        List<EniId> described = [];
        var query = new Query { MaxResults = 5 };
        var pages = 0;
        for (string? token = null; pages == 0 || token is not null; pages++)
        {
            var page = test.World.DescribeNetworkInterfaces(query with { NextToken = token });
            described.AddRange(page.Items.Select(eni => eni.Id));
            token = page.NextToken;
        }

        Assert.Equal(5, pages);
        Assert.Equal(all, described);
    }

    [Fact]
    public void Page_after_a_deletion_at_its_boundary_skips_and_repeats_nothing()
    {
        var test = new TestWorld();
        var all = Enumerable.Range(0, 12).Select(_ => test.Create().Id).ToArray();
        var first = test.World.DescribeNetworkInterfaces(new Query { MaxResults = 5 });
        test.World.DeleteNetworkInterface(all[4]);
        var second = test.World.DescribeNetworkInterfaces(new Query { MaxResults = 1000, NextToken = first.NextToken });
        Assert.Equal(all[5..], second.Items.Select(eni => eni.Id));
        Assert.Null(second.NextToken);
    }

    [Fact]
    public void Paging_with_invalid_parameters_is_rejected()
    {
        var test = new TestWorld();
        var eni = test.Create();
        for (var i = 0; i < 6; i++)
            test.Create();
        var token = test.World.DescribeNetworkInterfaces(new Query { MaxResults = 5 }).NextToken;
        test.AssertRejected("InvalidParameterValue", () => test.World.DescribeNetworkInterfaces(new Query { MaxResults = 1001 }));
        test.AssertRejected(
            "InvalidParameterCombination",
            () => test.World.DescribeNetworkInterfaces(new Query { MaxResults = 5, Ids = [eni.Id.Value] })
        );
        test.AssertRejected(
            "InvalidParameterValue",
            () =>
                test.World.DescribeNetworkInterfaces(
                    new Query
                    {
                        MaxResults = 5,
                        NextToken = token,
                        Filters = [new Filter("status", "available")],
                    }
                )
        );
    }

    [Fact]
    public void Subnets_are_described_with_their_free_addresses_and_tags()
    {
        var test = new TestWorld();
        test.World.CreateTags([test.SubnetB.Id.Value], new Dictionary<string, string> { ["kubernetes.io/role/cni"] = "1" });
        test.Create(AddressRequest.AnyPrefixes(1), test.SubnetB.Id);
        var found = Assert.Single(
            test.World.DescribeSubnets(new Query { Filters = [new Filter("tag:kubernetes.io/role/cni", "1")] }).Items
        );
        Assert.Equal((test.SubnetB.Id, 251 - 17), (found.Subnet.Id, found.AvailableAddresses));
    }

    [Fact]
    public void Tags_have_limits()
    {
        var test = new TestWorld();
        var eni = test.Create();
        void Tag(string key, string value) => test.World.CreateTags([eni.Id.Value], new Dictionary<string, string> { [key] = value });
        for (var i = 0; i < 50; i++)
            Tag($"key-{i}", "");
        test.AssertRejected("TagLimitExceeded", () => Tag("one-more", ""));
        Tag("key-7", "replaced");
        test.AssertRejected("InvalidParameterValue", () => Tag(new string('k', 129), ""));
        test.AssertRejected("InvalidParameterValue", () => Tag("key-1", new string('v', 257)));
        test.AssertRejected("InvalidParameterValue", () => Tag("aws:reserved", ""));
        test.AssertRejected(
            "InvalidNetworkInterfaceID.NotFound",
            () => test.World.CreateTags([eni.Id.Value, "eni-0"], new Dictionary<string, string> { ["key-1"] = "x" })
        );
        test.World.DeleteTags([eni.Id.Value], []);
        Assert.Empty(test.Current(eni.Id).Tags);
    }
}
