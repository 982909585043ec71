// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics.CodeAnalysis;

namespace VpcCni.Netlink;

/// <summary>A 48-bit Ethernet address. The default value is 00:00:00:00:00:00.</summary>
public readonly struct MacAddress : IEquatable<MacAddress>
{
    /// <summary>Length in octets (ETH_ALEN).</summary>
    public const int Length = 6;

    private const string Digits = "0123456789abcdef";

    private readonly ulong _value; // first octet highest, in the low 48 bits

    public MacAddress(ReadOnlySpan<byte> octets)
    {
        if (octets.Length != Length)
            throw new ArgumentException($"a MAC address has {Length} octets, not {octets.Length}", nameof(octets));
        foreach (byte octet in octets)
            _value = (_value << 8) | octet;
    }

    public bool IsZero => _value == 0;
    public bool IsMulticast => ((_value >> 40) & 1) != 0;
    public bool IsLocallyAdministered => ((_value >> 40) & 2) != 0;

    public static bool operator ==(MacAddress left, MacAddress right) => left._value == right._value;

    public static bool operator !=(MacAddress left, MacAddress right) => left._value != right._value;

    /// <summary>Parses six hexadecimal octets in either case, separated by ':' or '-', such as 02:00:5e:10:00:01.</summary>
    public static MacAddress Parse(string text) =>
        TryParse(text, out var address)
            ? address
            : throw new FormatException($"'{text}' is not a MAC address: expected six octets such as 02:00:5e:10:00:01");

    public static bool TryParse([NotNullWhen(true)] string? text, out MacAddress address)
    {
        address = default;
        if (text is null || text.Length != (Length * 3) - 1 || text[2] is not (':' or '-'))
            return false;
        Span<byte> octets = stackalloc byte[Length];
        for (int index = 0; index < Length; index++)
        {
            int at = index * 3;
            if (index > 0 && text[at - 1] != text[2])
                return false;
            if (!char.IsAsciiHexDigit(text[at]) || !char.IsAsciiHexDigit(text[at + 1]))
                return false;
            octets[index] = (byte)((HexValue(text[at]) << 4) | HexValue(text[at + 1]));
        }

        address = new MacAddress(octets);
        return true;
    }

    /// <summary>Returns a random unicast address of the locally administered range, as the kernel assigns to virtual links.</summary>
    public static MacAddress Random(Random rng)
    {
        ArgumentNullException.ThrowIfNull(rng);
        Span<byte> octets = stackalloc byte[Length];
        rng.NextBytes(octets);
        octets[0] = (byte)((octets[0] & 0xfe) | 0x02);
        return new MacAddress(octets);
    }

    public void CopyTo(Span<byte> destination)
    {
        for (int index = 0; index < Length; index++)
            destination[index] = (byte)(_value >> (8 * (Length - 1 - index)));
    }

    public byte[] ToByteArray()
    {
        var octets = new byte[Length];
        CopyTo(octets);
        return octets;
    }

    public bool Equals(MacAddress other) => _value == other._value;

    public override bool Equals(object? obj) => obj is MacAddress other && Equals(other);

    public override int GetHashCode() => _value.GetHashCode();

    /// <summary>Formats the address in lower case with colons.</summary>
    public override string ToString() =>
        string.Create(
            (Length * 3) - 1,
            _value,
            static (text, value) =>
            {
                for (int index = 0; index < Length; index++)
                {
                    int octet = (int)(value >> (8 * (Length - 1 - index))) & 0xff;
                    text[index * 3] = Digits[octet >> 4];
                    text[(index * 3) + 1] = Digits[octet & 15];
                    if (index < Length - 1)
                        text[(index * 3) + 2] = ':';
                }
            }
        );

    private static int HexValue(char digit) => digit <= '9' ? digit - '0' : (digit | 0x20) - 'a' + 10;
}
