// SPDX-License-Identifier: Apache-2.0
using System.Buffers.Text;
using System.Text;

namespace VpcCni.Ipamd.Clouds.Aws.InstanceTypes;

/// <summary>What an instance type can carry, as DescribeInstanceTypes tells it.</summary>
/// <param name="Name">E.g. <c>m5.large</c>.</param>
/// <param name="CardInterfaces">Interfaces on network card 0, the primary one included: the only card whose interfaces carry pods.</param>
/// <param name="Interfaces">On all cards.</param>
/// <param name="Ipv4PerInterface">The primary address included; a /28 takes the place of one.</param>
/// <param name="Ipv6PerInterface">0 where the type has no IPv6.</param>
/// <param name="Hypervisor"><c>nitro</c>, <c>xen</c>, or <c>none</c> for bare metal.</param>
/// <param name="NetworkCards">At least 1.</param>
internal sealed record InstanceTypeRow(
    string Name,
    int CardInterfaces,
    int Interfaces,
    int Ipv4PerInterface,
    int Ipv6PerInterface,
    string Hypervisor,
    int NetworkCards
)
{
    public NodeLimits Limits => new(CardInterfaces, Ipv4PerInterface, Ipv6PerInterface, SupportsPrefixes: Hypervisor != "xen");
}

/// <summary>
/// The limits of the instance types that were known when <c>scripts/update-instance-types</c> last ran, embedded as text. A node asks for
/// one type in its life, so the text is searched, not parsed, and nothing of it stays in memory.
/// </summary>
internal static class InstanceTypeTable
{
    public const string Resource = "instance-types.txt";

    /// <summary>Null for a type that the table does not have: newer than the table, or offered only where it was not made.</summary>
    public static InstanceTypeRow? Find(string name)
    {
        if (name.Length == 0 || !name.All(letter => char.IsAsciiLetterOrDigit(letter) || letter is '.' or '-'))
            return null;
        ReadOnlySpan<byte> table = Read();

        // The whole name at the beginning of a line. The first line is a comment, so every row has one before it.
        var key = Encoding.UTF8.GetBytes($"\n{name} ");
        var at = table.IndexOf(key);
        if (at < 0)
            return null;
        var row = table[(at + 1)..];
        return Parse(row[..row.IndexOf((byte)'\n')]);
    }

    /// <summary>The whole resource.</summary>
    internal static byte[] Read()
    {
        using var stream =
            typeof(InstanceTypeTable).Assembly.GetManifestResourceStream(Resource)
            ?? throw new InvalidDataException($"{Resource} is not embedded");
        var bytes = new byte[stream.Length];
        stream.ReadExactly(bytes);
        return bytes;
    }

    /// <exception cref="InvalidDataException">The script wrote, or a person edited, something else.</exception>
    internal static InstanceTypeRow Parse(ReadOnlySpan<byte> row)
    {
        Span<Range> fields = stackalloc Range[8];
        if (
            SplitAtSpaces(row, fields) != 7
            || !TryNumber(row[fields[1]], out var card)
            || !TryNumber(row[fields[2]], out var interfaces)
            || !TryNumber(row[fields[3]], out var ipv4)
            || !TryNumber(row[fields[4]], out var ipv6)
            || !TryNumber(row[fields[6]], out var cards)
            || Encoding.UTF8.GetString(row[fields[5]]) is not (("nitro" or "xen" or "none") and var hypervisor)
        )
            throw new InvalidDataException($"'{Encoding.UTF8.GetString(row)}' is no row of {Resource}");
        return new InstanceTypeRow(Encoding.UTF8.GetString(row[fields[0]]), card, interfaces, ipv4, ipv6, hypervisor, cards);
    }

    private static int SplitAtSpaces(ReadOnlySpan<byte> row, Span<Range> fields)
    {
        var count = 0;
        foreach (var field in row.Split((byte)' '))
        {
            if (count == fields.Length)
                break;
            fields[count++] = field;
        }

        return count;
    }

    private static bool TryNumber(ReadOnlySpan<byte> field, out int number) =>
        Utf8Parser.TryParse(field, out number, out var used) && used == field.Length && number >= 0;
}
