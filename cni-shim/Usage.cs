// SPDX-License-Identifier: Apache-2.0
using System.Text;
using VpcCni.Shim.Ipamd;

namespace VpcCni.Shim;

/// <summary>
/// The usage text for people: container runtimes run the plugin, and the text says how to run it by hand.
/// </summary>
internal static class Usage
{
    private const string Help = """
        vpc-cni: CNI plugin that gives every pod an address of the VPC.

        A container runtime runs it: CNI_COMMAND and other CNI_* variables in the environment, a network configuration on stdin,
        the result or an error object on stdout.

          commands  ADD, DEL, CHECK, GC, STATUS, VERSION
          versions  VERSIONS
          keys      vethPrefix (eni), mtu (9001), podSGEnforcingMode, pluginLogFile (stderr), pluginLogLevel (DEBUG),
                    pluginLogFormat (text), ipamdSocket (SOCKET), ipamdTimeoutSeconds (30), ipamdWaitSeconds (10),
                    statusNeedsFreeAddress (false), enableV4Egress (false), enableV6Egress (false)
          codes     1 to 50 as in the CNI specification; 100 wiring failed, 101 interface name taken, 102 CHECK found a difference,
                    110 ipamd failed, 111 not supported

        Can this node take a pod now? Exit code 0 if so; an error object says why not:
          echo '{"cniVersion":"1.1.0","name":"aws-cni","type":"vpc-cni"}' | CNI_COMMAND=STATUS vpc-cni
        What the daemon has and what it waits for: ipamd status

        """;

    /// <summary>
    /// Without CNI_COMMAND: the help on stderr and exit code 0, as the specification's reference library does. <c>--help</c> and
    /// <c>--version</c> on stdout. Any other argument is an error, exit code 1: no runtime passes one, and a mistyped call must not look
    /// like success.
    /// </summary>
    public static int Answer(PluginHost plugin)
    {
        var (text, output, exitCode) = plugin.Arguments switch
        {
            [] => (Text, plugin.Stderr, 0),
            ["--help" or "-h"] => (Text, plugin.Stdout, 0),
            ["--version"] => ($"vpc-cni {IpamdClient.OwnVersion}\n", plugin.Stdout, 0),
            var arguments => (
                $"vpc-cni: unknown argument '{Invocation.Printable(arguments[0])}'; --help and --version are the only ones\n",
                plugin.Stderr,
                1
            ),
        };
        output.Write(Encoding.UTF8.GetBytes(text));
        return exitCode;
    }

    private static string Text =>
        Help.Replace("VERSIONS", string.Join(", ", CniVersion.Supported), StringComparison.Ordinal)
            .Replace("SOCKET", NetworkConfig.DefaultSocket, StringComparison.Ordinal);
}
