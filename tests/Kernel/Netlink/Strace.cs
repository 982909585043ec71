// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics;
using System.Globalization;
using VpcCni.Netlink;

namespace VpcCni.Kernel.Tests.Netlink;

/// <summary>Runs `ip` under strace and returns the octets of its last netlink request.</summary>
internal static class Strace
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(20);

    public static (byte[] Message, int ExitCode, string Error) LastRequest(NetworkNamespace ns, string ipArguments)
    {
        string trace = Path.GetTempFileName();
        try
        {
            var (exitCode, error) = ns.Run(() =>
            {
                string[] arguments =
                [
                    "-qq",
                    "-o",
                    trace,
                    "-e",
                    "trace=sendmsg,sendto",
                    "-e",
                    "write=all",
                    "ip",
                    .. ipArguments.Split(' ', StringSplitOptions.RemoveEmptyEntries),
                ];
                using var process = Process.Start(
                    new ProcessStartInfo("strace", arguments)
                    {
                        UseShellExecute = false,
                        RedirectStandardError = true,
                        RedirectStandardOutput = true,
                    }
                )!;
                var output = process.StandardOutput.ReadToEndAsync();
                string text = process.StandardError.ReadToEnd();
                if (process.WaitForExit(Deadline))
                    return (process.ExitCode, text);
                process.Kill();
                throw new TimeoutException($"strace ip {ipArguments}: {output.Result}{text}");
            });
            return (Parse(File.ReadLines(trace)), exitCode, error);
        }
        finally
        {
            File.Delete(trace);
        }
    }

    /// <summary>Parses the dump after each call: lines such as " | 00010  02 00 0a 00 ..  .. |  text |".</summary>
    private static byte[] Parse(IEnumerable<string> lines)
    {
        var message = new List<byte>();
        foreach (string line in lines)
        {
            if (!line.StartsWith(" | ", StringComparison.Ordinal))
            {
                if (line.StartsWith("send", StringComparison.Ordinal))
                    message.Clear();
                continue;
            }

            string[] columns = line[3..58].Split(' ', StringSplitOptions.RemoveEmptyEntries);
            message.AddRange(columns.Skip(1).Select(octet => byte.Parse(octet, NumberStyles.HexNumber, CultureInfo.InvariantCulture)));
        }

        return [.. message];
    }
}
