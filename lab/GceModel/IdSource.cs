// SPDX-License-Identifier: Apache-2.0
using System.Globalization;

namespace VpcCni.Lab.GceModel;

/// <summary>
/// Ids and fingerprints, from a seed: the same calls give the same ones. The numbers are those of SplitMix64 (Steele, Lea and Flood, 2014).
/// </summary>
internal sealed class IdSource(ulong seed)
{
    private ulong _state = seed;

    /// <summary>A resource's id: a number of 19 digits, as GCE has them.</summary>
    public ulong NextId() => 1_000_000_000_000_000_000 + Next() % 8_000_000_000_000_000_000;

    /// <summary>A fingerprint: 8 bytes in base64.</summary>
    public string NextFingerprint() => Convert.ToBase64String(BitConverter.GetBytes(Next()));

    /// <summary>Name of an operation: the time in milliseconds and random digits.</summary>
    public string NextOperationName(DateTimeOffset now) =>
        string.Create(
            CultureInfo.InvariantCulture,
            $"operation-{now.ToUnixTimeMilliseconds()}-{Next() >> 12:x13}-{(uint)Next():x8}-{(uint)Next():x8}"
        );

    private ulong Next()
    {
        _state += 0x9e3779b97f4a7c15;
        var mixed = _state;
        mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
        mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
        return mixed ^ (mixed >> 31);
    }
}
