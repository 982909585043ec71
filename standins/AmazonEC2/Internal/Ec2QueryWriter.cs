// SPDX-License-Identifier: Apache-2.0
using System.Globalization;
using Amazon.Runtime;

namespace Amazon.EC2.Internal;

/// <summary>
/// Appends parameters under a prefix. Members nest with a dot, list items are numbered from 1 directly under the list's name (<c>Filter.1.Value.2</c>), members that are not set
/// are not written.
/// </summary>
internal readonly struct Ec2QueryWriter(IDictionary<string, string> parameters, string prefix)
{
    public void Add(string name, string? value)
    {
        if (value is not null) parameters.Add(prefix + name, value);
    }

    public void Add(string name, ConstantClass? value) => Add(name, value?.Value);

    public void Add(string name, int? value) => Add(name, value?.ToString(CultureInfo.InvariantCulture));

    public void Add(string name, bool? value) => Add(name, value switch { true => "true", false => "false", null => null });

    public void AddList(string name, List<string>? values)
    {
        for (var i = 0; i < (values?.Count ?? 0); i++) Add($"{name}.{i + 1}", values![i]);
    }

    public void AddList<T>(string name, List<T>? items, Action<T, Ec2QueryWriter> write)
        where T : class
    {
        for (var i = 0; i < (items?.Count ?? 0); i++) write(items![i], new Ec2QueryWriter(parameters, $"{prefix}{name}.{i + 1}."));
    }

    public void AddObject<T>(string name, T? item, Action<T, Ec2QueryWriter> write)
        where T : class
    {
        if (item is not null) write(item, new Ec2QueryWriter(parameters, $"{prefix}{name}."));
    }
}
