// SPDX-License-Identifier: Apache-2.0
using System.Security.Cryptography;
using Xunit;

namespace VpcCni.Datapath.Tests;

public sealed class Sha1Tests
{
    [Fact]
    public void Hash_of_any_length_equals_the_frameworks()
    {
        var random = new Random(1);
        for (var length = 0; length < 300; length++)
        {
            var message = new byte[length];
            random.NextBytes(message);
#pragma warning disable CA5350 // The thing under test.
            Assert.Equal(SHA1.HashData(message), Sha1.Hash(message));
#pragma warning restore CA5350
        }
    }
}
