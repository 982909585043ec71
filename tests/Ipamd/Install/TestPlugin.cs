// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.Tests.Install;

/// <summary>Creates plugins as shell scripts that answer like real ones.</summary>
internal static class TestPlugin
{
    public const string Old = """["0.3.1","0.4.0","1.0.0"]""";
    public const string Current = """["0.3.1","0.4.0","1.0.0","1.1.0"]""";

    /// <summary>Creates an executable file.</summary>
    public static void Write(string path, string content)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.WriteAllText(path, content);
        File.SetUnixFileMode(path, (UnixFileMode)0b111_101_101);
    }

    /// <summary>
    /// Creates a plugin that behaves like the CNI project's library: it prints its version on stderr without a command, answers VERSION
    /// with the supported versions after it has read its input, and fails otherwise.
    /// </summary>
    /// <param name="path">Path of the file.</param>
    /// <param name="introduction">For example "v1.7.1", or "version unknown".</param>
    /// <param name="versions">Versions as a JSON array.</param>
    public static void WriteCore(string path, string introduction, string versions = Current) =>
        Write(
            path,
            $$"""
            #!/bin/sh
            case "$CNI_COMMAND" in
              "") echo "CNI {{Path.GetFileName(path)}} plugin {{introduction}}" >&2 ;;
              VERSION)
                read -r input
                case "$input" in *'"cniVersion":"1.0.0"'*) ;; *) exit 3 ;; esac
                echo '{"cniVersion":"1.0.0","supportedVersions":{{versions}}}' ;;
              *) exit 4 ;;
            esac
            """
        );

    /// <summary>Creates a plugin that answers VERSION by a shell command.</summary>
    public static void WriteAnswer(string path, string command) => Write(path, $"#!/bin/sh\n{command}\n");
}
