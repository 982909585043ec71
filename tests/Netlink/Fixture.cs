// SPDX-License-Identifier: Apache-2.0
using VpcCni.Netlink.Wire;

namespace VpcCni.Netlink.Tests;

/// <summary>Recorded answers of a kernel; see Fixtures/README.md.</summary>
internal static class Fixture
{
    public static readonly string[] All = ["links", "addresses", "routes", "rules", "neighbours", "proxies", "error-table", "error-nodev"];

    /// <summary>Returns the messages of a fixture, one array each.</summary>
    public static byte[][] Load(string name)
    {
        using var stream =
            typeof(Fixture).Assembly.GetManifestResourceStream(name) ?? throw new InvalidOperationException($"no fixture '{name}'");
        using var reader = new StreamReader(stream);
        return [.. reader.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(Convert.FromHexString)];
    }

    /// <summary>Returns all messages of a fixture as one datagram, each padded to 4 octets.</summary>
    public static byte[] Datagram(string name) =>
        [.. Load(name).SelectMany(message => message.Concat(new byte[(4 - (message.Length & 3)) & 3]))];

    public static List<T> Parse<T>(ReadOnlySpan<byte> datagram, ushort type, MessageParser<T> parse)
        where T : class
    {
        var results = new List<T>();
        var reader = new MessageReader(datagram);
        while (reader.TryRead(out var message))
        {
            if (message.Header.Type == type && parse(message) is { } result)
                results.Add(result);
        }

        return results;
    }

    public static T ParseOne<T>(byte[] message, MessageParser<T> parse)
        where T : class
    {
        var reader = new MessageReader(message);
        return reader.TryRead(out var first) && parse(first) is { } result
            ? result
            : throw new InvalidOperationException("the message is of another family");
    }

    /// <summary>Applies every parser to a datagram, each to the message types that it accepts.</summary>
    public static void ParseAll(ReadOnlySpan<byte> datagram)
    {
        var reader = new MessageReader(datagram);
        while (reader.TryRead(out var message))
        {
            switch (message.Header.Type)
            {
                case Nlm.NLMSG_ERROR:
                    Acknowledgement.Read(message);
                    break;
                case Nlm.NLMSG_DONE:
                    Acknowledgement.ReadDone(message);
                    break;
                default:
                    NotificationMessage.Parse(message);
                    break;
            }
        }
    }
}
