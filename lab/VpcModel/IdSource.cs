// SPDX-License-Identifier: Apache-2.0
using System.Globalization;

namespace VpcCni.Lab.VpcModel;

/// <summary>
/// Generates unique resource ids (17 hexadecimal digits) and MAC addresses (locally administered, unicast) as EC2 does, from the injected
/// randomness: the same seed gives the same ids.
/// </summary>
internal sealed class IdSource(Random random)
{
    private readonly HashSet<string> _used = new(StringComparer.Ordinal);

    public string Next(string kind)
    {
        string id;
        do id = string.Create(CultureInfo.InvariantCulture, $"{kind}-0{random.NextInt64():x16}");
        while (!_used.Add(id));
        return id;
    }

    public string NextMac()
    {
        string mac;
        Span<byte> octets = stackalloc byte[6];
        do
        {
            random.NextBytes(octets);
            octets[0] = 0x02;
            mac = string.Create(
                CultureInfo.InvariantCulture,
                $"{octets[0]:x2}:{octets[1]:x2}:{octets[2]:x2}:{octets[3]:x2}:{octets[4]:x2}:{octets[5]:x2}"
            );
        } while (!_used.Add(mac));
        return mac;
    }
}
