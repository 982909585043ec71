// SPDX-License-Identifier: Apache-2.0
using VpcCni.Lab.VpcModel;

namespace VpcCni.Lab.Ec2Api;

/// <summary>Operations on tags.</summary>
internal static class TagOperations
{
    public static Func<VpcWorld, Action<Ec2Xml>> Create(QueryRequest request)
    {
        var resources = request.List("ResourceId");
        var tags = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var (key, value) in request.Tags())
        {
            if (!tags.TryAdd(key, value ?? ""))
                throw Ec2Faults.BadValue($"Duplicate tag key '{key}' specified.");
        }

        return world =>
        {
            world.CreateTags(resources, tags);
            return Ec2Operations.ReturnTrue;
        };
    }

    public static Func<VpcWorld, Action<Ec2Xml>> Delete(QueryRequest request)
    {
        var resources = request.List("ResourceId");
        var tags = request.Tags();
        return world =>
        {
            world.DeleteTags(resources, tags);
            return Ec2Operations.ReturnTrue;
        };
    }

    public static Func<VpcWorld, Action<Ec2Xml>> Describe(QueryRequest request)
    {
        var query = request.Query(idList: null);
        return world =>
        {
            var page = world.DescribeTags(query);
            return xml =>
            {
                xml.List(
                    "tagSet",
                    page.Items,
                    tag =>
                    {
                        xml.Value("resourceId", tag.ResourceId);
                        xml.Value("resourceType", tag.ResourceType);
                        xml.Value("key", tag.Key);
                        xml.Value("value", tag.Value);
                    }
                );
                xml.NextToken(page.NextToken);
            };
        };
    }
}
