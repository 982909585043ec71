// SPDX-License-Identifier: Apache-2.0
using System.Globalization;
using System.Net;
using VpcCni.Lab.VpcModel;

namespace VpcCni.Lab.Ec2Api;

/// <summary>
/// The parameters of a Query protocol request. List items are named <c>Name.1</c>, <c>Name.2</c>; members of structures <c>Name.Member</c>.
/// Records which parameters were read, so that an unknown one is rejected instead of ignored.
/// </summary>
internal sealed class QueryRequest
{
    /// <summary>Maximum number of items of a list.</summary>
    private const int MaxItems = 1_000;
    private const int MaxParameters = 10_000;

    private readonly Dictionary<string, string> _parameters;
    private readonly HashSet<string> _read;
    private readonly string _prefix;

    public QueryRequest(IEnumerable<(string Name, string Value)> parameters)
        : this(new Dictionary<string, string>(StringComparer.Ordinal), new HashSet<string>(StringComparer.Ordinal), "")
    {
        foreach (var (name, value) in parameters)
        {
            if (_parameters.Count >= MaxParameters)
                throw new Ec2FaultException("MalformedQueryString", $"The query string has more than {MaxParameters} parameters");
            if (!_parameters.TryAdd(name, value))
                throw new Ec2FaultException("MalformedQueryString", $"The parameter {name} is given twice");
        }
    }

    private QueryRequest(Dictionary<string, string> parameters, HashSet<string> read, string prefix)
    {
        _parameters = parameters;
        _read = read;
        _prefix = prefix;
    }

    /// <summary>Parses a body or query string in <c>application/x-www-form-urlencoded</c>, in which a plus sign is a space.</summary>
    public static IEnumerable<(string Name, string Value)> ParseForm(string text) => SigV4.Pairs(text.Replace('+', ' '));

    public string? Text(string name)
    {
        _read.Add(_prefix + name);
        return _parameters.GetValueOrDefault(_prefix + name);
    }

    public string Required(string name) => Text(name) is { Length: > 0 } value ? value : throw Ec2Faults.Missing(Camel(_prefix + name));

    public int? Number(string name)
    {
        if (Text(name) is not { } text)
            return null;
        return int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var value)
            ? value
            : throw Ec2Faults.BadValue($"Value ({text}) for parameter {Camel(_prefix + name)} is invalid: expected an integer");
    }

    public bool? Flag(string name) =>
        Text(name) switch
        {
            null => null,
            "true" or "True" or "1" => true,
            "false" or "False" or "0" => false,
            var text => throw Ec2Faults.BadValue(
                $"Value ({text}) for parameter {Camel(_prefix + name)} is invalid: expected true or false"
            ),
        };

    public IPAddress? Address(string name) => Text(name) is { } text ? ParseAddress(text) : null;

    public IReadOnlyList<string> List(string name) => [.. Indices(name).Select(index => Required($"{name}.{index}"))];

    public IReadOnlyList<IPAddress> Addresses(string name) => [.. List(name).Select(ParseAddress)];

    public IReadOnlyList<IPNetwork> Networks(string name) => [.. List(name).Select(ParseNetwork)];

    public IReadOnlyList<QueryRequest> Structures(string name) =>
        [.. Indices(name).Select(index => new QueryRequest(_parameters, _read, $"{_prefix}{name}.{index}."))];

    public QueryRequest Structure(string name) => new(_parameters, _read, $"{_prefix}{name}.");

    /// <summary>Reads the filters, ids and paging of a Describe call.</summary>
    public Query Query(string? idList) =>
        new()
        {
            Ids = idList is null ? [] : List(idList),
            Filters = [.. Structures("Filter").Select(filter => new Filter(filter.Required("Name"), filter.TextList("Value")))],
            MaxResults = Number("MaxResults"),
            NextToken = Text("NextToken") is { Length: > 0 } token ? token : null,
        };

    /// <summary>Reads the tags for one kind of resource from TagSpecification.N.</summary>
    public IReadOnlyDictionary<string, string> TagSpecification(string resourceType)
    {
        var tags = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var specification in Structures("TagSpecification"))
        {
            var type = specification.Required("ResourceType");
            if (type != resourceType)
                throw Ec2Faults.BadValue($"'{type}' is not a valid taggable resource type for this operation.");
            foreach (var (key, value) in specification.Tags())
            {
                if (!tags.TryAdd(key, value ?? ""))
                    throw Ec2Faults.BadValue($"Duplicate tag key '{key}' specified.");
            }
        }

        return tags;
    }

    /// <summary>Reads Tag.N.Key and Tag.N.Value; a missing value is null.</summary>
    public IReadOnlyList<KeyValuePair<string, string?>> Tags() =>
        [.. Structures("Tag").Select(tag => KeyValuePair.Create(tag.Required("Key"), tag.Text("Value")))];

    /// <summary>Rejects the request if it has parameters that have not been read.</summary>
    /// <exception cref="Ec2FaultException"><c>UnknownParameter</c>.</exception>
    public void RejectUnreadParameters()
    {
        if (_parameters.Keys.FirstOrDefault(name => !_read.Contains(name)) is { } unknown)
            throw new Ec2FaultException("UnknownParameter", $"The parameter {unknown} is not recognized by this operation");
    }

    private IReadOnlyList<string> TextList(string name) => [.. Indices(name).Select(index => Text($"{name}.{index}") ?? "")];

    private List<int> Indices(string name)
    {
        var prefix = $"{_prefix}{name}.";
        SortedSet<int> indices = [];
        foreach (var key in _parameters.Keys)
        {
            if (!key.StartsWith(prefix, StringComparison.Ordinal))
                continue;
            var rest = key.AsSpan(prefix.Length);
            var dot = rest.IndexOf('.');
            if (int.TryParse(dot < 0 ? rest : rest[..dot], NumberStyles.None, CultureInfo.InvariantCulture, out var index))
                indices.Add(index);
        }

        return indices.Count <= MaxItems ? [.. indices] : throw Ec2Faults.BadValue($"The list {name} has more than {MaxItems} items");
    }

    private static IPAddress ParseAddress(string text) =>
        IPAddress.TryParse(text, out var address) ? address : throw Ec2Faults.BadValue($"invalid value for parameter address: {text}");

    private static IPNetwork ParseNetwork(string text) =>
        IPNetwork.TryParse(text, out var network) ? network : throw Ec2Faults.BadValue($"invalid value for parameter prefix: {text}");

    private static string Camel(string name) => char.ToLowerInvariant(name[0]) + name[1..];
}
