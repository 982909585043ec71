// SPDX-License-Identifier: Apache-2.0
using System.Globalization;
using System.Xml;

namespace Amazon.EC2.Internal;

/// <summary>
/// An element of an EC2 answer, read whole: answers are small (one network interface is about 2 KiB) and a tree lets each model say only which members it has. Unknown elements
/// are kept and ignored, absent ones read as null, an empty list reads as null, as in the official package. Namespaces and attributes carry nothing in EC2's XML.
/// </summary>
internal sealed class Ec2Element
{
    /// <summary>EC2 nests about ten deep; beyond this the answer is not EC2's.</summary>
    private const int MaxDepth = 32;

    /// <summary>A page of 1,000 network interfaces with 50 addresses each is about 12 MiB.</summary>
    private const long MaxCharacters = 64 * 1024 * 1024;

    private static readonly XmlReaderSettings Settings = new()
    {
        DtdProcessing = DtdProcessing.Prohibit, XmlResolver = null, MaxCharactersInDocument = MaxCharacters, IgnoreComments = true, IgnoreProcessingInstructions = true,
    };

    private readonly List<Ec2Element> _children = [];

    private Ec2Element(string name) => Name = name;

    public string Name { get; }

    /// <summary>The element's own text; empty for an element that only has children.</summary>
    public string Text { get; private set; } = "";

    public IReadOnlyList<Ec2Element> Children => _children;

    /// <summary>Reads the document's root. Throws <see cref="XmlException"/> for anything that is not one complete document.</summary>
    public static Ec2Element Parse(Stream stream)
    {
        using var reader = XmlReader.Create(stream, Settings);
        reader.MoveToContent();
        var root = Read(reader, depth: 0);
        while (reader.Read())
        {
            // Trailing white space is fine; XmlReader throws for a second root.
        }

        return root;
    }

    public Ec2Element? Child(string name)
    {
        foreach (var child in _children)
        {
            if (child.Name == name) return child;
        }

        return null;
    }

    public string? String(string name) => Child(name)?.Text;

    public int? Int32(string name) => String(name) is not { Length: > 0 } text ? null
        : int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var value) ? value
        : throw Malformed(name, text, "an integer");

    public bool? Boolean(string name) => String(name) is not { Length: > 0 } text ? null
        : bool.TryParse(text, out var value) ? value
        : throw Malformed(name, text, "true or false");

    public DateTime? Timestamp(string name) => String(name) is not { Length: > 0 } text ? null
        : DateTime.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AdjustToUniversal | DateTimeStyles.AssumeUniversal, out var value) ? value
        : throw Malformed(name, text, "an ISO 8601 time");

    public T? Object<T>(string name, Func<Ec2Element, T> read)
        where T : class => Child(name) is { } child ? read(child) : null;

    /// <summary>The <c>item</c> elements of a list member.</summary>
    public List<T>? List<T>(string name, Func<Ec2Element, T> read)
    {
        List<T>? items = null;
        foreach (var item in Child(name)?._children ?? [])
        {
            if (item.Name == "item") (items ??= []).Add(read(item));
        }

        return items;
    }

    public List<string>? StringList(string name) => List(name, item => item.Text);

    private static Ec2Element Read(XmlReader reader, int depth)
    {
        if (depth > MaxDepth) throw new XmlException($"The answer nests deeper than {MaxDepth} elements.");
        var element = new Ec2Element(reader.LocalName);
        if (reader.IsEmptyElement) return element;
        while (reader.Read() && reader.NodeType != XmlNodeType.EndElement)
        {
            if (reader.NodeType == XmlNodeType.Element) element._children.Add(Read(reader, depth + 1));
            else if (reader.NodeType is XmlNodeType.Text or XmlNodeType.CDATA) element.Text += reader.Value;
        }

        return element;
    }

    private FormatException Malformed(string name, string text, string expected) => new($"{Name}/{name} is '{text}', expected {expected}.");
}
