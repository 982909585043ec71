// SPDX-License-Identifier: Apache-2.0
using Amazon.EC2.Internal;
using Amazon.Runtime;

namespace Amazon.EC2.Model;

/// <summary>A tag: key at most 127 characters, value at most 255 (EC2 limits), 50 a resource.</summary>
public class Tag
{
    public Tag()
    {
    }

    public Tag(string key, string value)
    {
        Key = key;
        Value = value;
    }

    public string? Key { get; set; }

    public string? Value { get; set; }

    internal static Tag Read(Ec2Element element) => new() { Key = element.String("key"), Value = element.String("value") };

    internal void Write(Ec2QueryWriter writer)
    {
        writer.Add("Key", Key);
        writer.Add("Value", Value);
    }
}

/// <summary>Tags that a resource is created with, in the same transaction.</summary>
public class TagSpecification
{
    public ResourceType? ResourceType { get; set; }

    public List<Tag>? Tags { get; set; }

    internal void Write(Ec2QueryWriter writer)
    {
        writer.Add("ResourceType", ResourceType);
        writer.AddList("Tag", Tags, (tag, nested) => tag.Write(nested));
    }
}

/// <summary>Narrows a describe call: any of the values matches, all filters must match. <c>*</c> and <c>?</c> are wildcards. At most 200 values in a request.</summary>
public class Filter
{
    public Filter()
    {
    }

    public Filter(string name)
    {
        Name = name;
    }

    public Filter(string name, List<string> values)
    {
        Name = name;
        Values = values;
    }

    public string? Name { get; set; }

    public List<string>? Values { get; set; }

    internal void Write(Ec2QueryWriter writer)
    {
        writer.Add("Name", Name);
        writer.AddList("Value", Values);
    }
}

/// <summary>Adds or overwrites tags on up to 1,000 resources. Idempotent.</summary>
public class CreateTagsRequest : AmazonEC2Request
{
    internal static readonly Ec2Operation<CreateTagsRequest, CreateTagsResponse> Operation = new("CreateTags", (request, writer) => request.Write(writer), _ => new CreateTagsResponse());

    public CreateTagsRequest()
    {
    }

    public CreateTagsRequest(List<string> resources, List<Tag> tags)
    {
        Resources = resources;
        Tags = tags;
    }

    public bool? DryRun { get; set; }

    public List<string>? Resources { get; set; }

    public List<Tag>? Tags { get; set; }

    private void Write(Ec2QueryWriter writer)
    {
        writer.Add("DryRun", DryRun);
        writer.AddList("ResourceId", Resources);
        writer.AddList("Tag", Tags, (tag, nested) => tag.Write(nested));
    }
}

/// <summary>EC2 answers success with nothing else.</summary>
public class CreateTagsResponse : AmazonWebServiceResponse
{
}
