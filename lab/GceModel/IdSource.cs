// SPDX-License-Identifier: Apache-2.0
using System.Globalization;
using VpcCni.Lab.ModelParts;

namespace VpcCni.Lab.GceModel;

/// <summary>Ids and fingerprints, from a seed: the same calls give the same ones.</summary>
internal sealed class IdSource(ulong seed)
{
    private readonly SeededNumbers _numbers = new(seed);

    /// <summary>A resource's id: a number of 19 digits, as GCE has them.</summary>
    public ulong NextId() => 1_000_000_000_000_000_000 + _numbers.Next() % 8_000_000_000_000_000_000;

    /// <summary>A fingerprint: 8 bytes in base64.</summary>
    public string NextFingerprint() => Convert.ToBase64String(BitConverter.GetBytes(_numbers.Next()));

    /// <summary>Name of an operation: the time in milliseconds and random digits.</summary>
    public string NextOperationName(DateTimeOffset now) =>
        string.Create(
            CultureInfo.InvariantCulture,
            $"operation-{now.ToUnixTimeMilliseconds()}-{_numbers.Next() >> 12:x13}-{(uint)_numbers.Next():x8}-{(uint)_numbers.Next():x8}"
        );
}
