// SPDX-License-Identifier: Apache-2.0
using System.Buffers.Text;
using System.Text;
using VpcCni.Ipamd.Ledger;

namespace VpcCni.Ipamd.Clouds.Aws.InstanceTypes;

/// <summary>Limits of an instance type, from DescribeInstanceTypes.</summary>
/// <param name="Name">Name, such as <c>m5.large</c>.</param>
/// <param name="CardInterfaces">Interfaces on network card 0, the primary one included; only this card's interfaces carry pods.</param>
/// <param name="Interfaces">Interfaces on all cards.</param>
/// <param name="Ipv4PerInterface">IPv4 addresses per interface, the primary address included; a /28 counts as one.</param>
/// <param name="Ipv6PerInterface">IPv6 addresses per interface; 0 when the type has no IPv6.</param>
/// <param name="Hypervisor"><c>nitro</c>, <c>xen</c>, or <c>none</c> for bare metal.</param>
/// <param name="NetworkCards">Network cards; at least 1.</param>
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
    public NodeLimits Limits => Ec2Limits.Of(CardInterfaces, Ipv4PerInterface, Ipv6PerInterface, hasPrefixes: Hypervisor != "xen");
}

/// <summary>
/// The limits of the instance types known when <c>scripts/update-instance-types</c> last ran, embedded as text. A node looks up one type in
/// its life, so the text is searched, not parsed, and does not stay in memory.
/// </summary>
internal static class InstanceTypeTable
{
    public const string Resource = "instance-types.txt";

    /// <summary>Finds a type; null when the table lacks it: newer than the table, or offered only in other regions.</summary>
    public static InstanceTypeRow? Find(string name)
    {
        if (name.Length == 0 || !name.All(letter => char.IsAsciiLetterOrDigit(letter) || letter is '.' or '-'))
            return null;
        ReadOnlySpan<byte> table = Read();

        // Matches the whole name at the beginning of a line. The first line is a comment, so every row has a line break before it.
        var key = Encoding.UTF8.GetBytes($"\n{name} ");
        var at = table.IndexOf(key);
        if (at < 0)
            return null;
        var row = table[(at + 1)..];
        return Parse(row[..row.IndexOf((byte)'\n')]);
    }

    /// <summary>Returns the whole resource.</summary>
    internal static byte[] Read()
    {
        using var stream =
            typeof(InstanceTypeTable).Assembly.GetManifestResourceStream(Resource)
            ?? throw new InvalidDataException($"{Resource} is not embedded");
        var bytes = new byte[stream.Length];
        stream.ReadExactly(bytes);
        return bytes;
    }

    /// <summary>Parses a row.</summary>
    /// <exception cref="InvalidDataException">The row has another form.</exception>
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
            throw new InvalidDataException($"'{Encoding.UTF8.GetString(row)}' is not a row of {Resource}");
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
