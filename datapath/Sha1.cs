// SPDX-License-Identifier: Apache-2.0
using System.Buffers.Binary;
using System.Numerics;

namespace VpcCni.Datapath;

/// <summary>
/// SHA-1 (FIPS 180-4, 6.1) of a short text, for names and nothing else. The framework's own loads OpenSSL, which costs several milliseconds
/// in each process: more than the whole wiring of a pod.
/// </summary>
public static class Sha1
{
    public const int DigestBytes = 20;
    private const int BlockBytes = 64;

    public static byte[] Hash(ReadOnlySpan<byte> message)
    {
        // One bit, zeros, and the length in bits in the last eight octets.
        var padded = new byte[(message.Length + 8 + BlockBytes) / BlockBytes * BlockBytes];
        message.CopyTo(padded);
        padded[message.Length] = 0x80;
        BinaryPrimitives.WriteUInt64BigEndian(padded.AsSpan(padded.Length - 8), (ulong)message.Length * 8);

        Span<uint> state = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0];
        for (var at = 0; at < padded.Length; at += BlockBytes)
            Compress(state, padded.AsSpan(at, BlockBytes));

        var digest = new byte[DigestBytes];
        for (var i = 0; i < state.Length; i++)
            BinaryPrimitives.WriteUInt32BigEndian(digest.AsSpan(i * 4), state[i]);
        return digest;
    }

    private static void Compress(Span<uint> state, ReadOnlySpan<byte> block)
    {
        Span<uint> w = stackalloc uint[80];
        for (var t = 0; t < 16; t++)
            w[t] = BinaryPrimitives.ReadUInt32BigEndian(block[(t * 4)..]);
        for (var t = 16; t < 80; t++)
            w[t] = BitOperations.RotateLeft(w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16], 1);

        var (a, b, c, d, e) = (state[0], state[1], state[2], state[3], state[4]);
        for (var t = 0; t < 80; t++)
        {
            var (f, k) = t switch
            {
                < 20 => ((b & c) | (~b & d), 0x5a827999u),
                < 40 => (b ^ c ^ d, 0x6ed9eba1u),
                < 60 => ((b & c) | (b & d) | (c & d), 0x8f1bbcdcu),
                _ => (b ^ c ^ d, 0xca62c1d6u),
            };
            (a, b, c, d, e) = (BitOperations.RotateLeft(a, 5) + f + e + k + w[t], a, BitOperations.RotateLeft(b, 30), c, d);
        }
        state[0] += a;
        state[1] += b;
        state[2] += c;
        state[3] += d;
        state[4] += e;
    }
}
