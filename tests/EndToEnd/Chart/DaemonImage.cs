// SPDX-License-Identifier: Apache-2.0
using System.Formats.Tar;
using System.Text.RegularExpressions;
using VpcCni.Chart.Tests;
using VpcCni.EndToEnd.Tests.Runtime;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.EndToEnd.Tests.Chart;

/// <summary>
/// Builds the image of the Containerfile from files of this machine: the native binaries of <c>make build</c>, the programs of the packages
/// that the Containerfile installs, and the libraries that they need. In the format of <c>docker save</c>.
/// </summary>
internal static partial class DaemonImage
{
    public const string Name = "localhost/vpc-cni:test";

    /// <summary>Programs that the daemon runs (ipamd/HostNetwork/Nat). Those of the iptables family are links to two files.</summary>
    private static readonly string[] Programs =
    [
        "/usr/sbin/nft",
        "/usr/sbin/iptables-legacy-save",
        "/usr/sbin/iptables-legacy-restore",
        "/usr/sbin/iptables-nft-save",
        "/usr/sbin/iptables-nft-restore",
    ];

    private static readonly string[] Companions = ["portmap", "bandwidth", "loopback"];

    public static void Write(string path) => DockerArchive.Write(path, Name, ["/app/ipamd"], Layer());

    /// <summary>Returns the path of a native file of <c>make build</c>; a script or a managed program would not run in the image.</summary>
    public static string NeedNative(string program)
    {
        var path = Path.Combine(HelmRenderer.Repository, "out", program);
        Requirement.Need(File.Exists(path) && IsElf(path), $"the native out/{program} (make build)");
        return path;
    }

    private static byte[] Layer()
    {
        Dictionary<string, string> files = new() { ["/app/ipamd"] = NeedNative("ipamd"), ["/app/vpc-cni"] = NeedNative("vpc-cni") };
        foreach (var program in Programs)
        {
            Requirement.Need(File.Exists(program), $"{program} (packages nftables, iptables)");
            files[program] = program;
        }

        // OpenSSL loads these by name at the first use of a hash or key, so ldd does not list them.
        foreach (var name in (string[])["libssl.so.3", "libcrypto.so.3"])
        {
            var library = Directory
                .EnumerateFiles("/usr/lib", name, new EnumerationOptions { RecurseSubdirectories = true, MaxRecursionDepth = 1 })
                .FirstOrDefault();
            Requirement.Need(library is not null, $"{name} (package openssl)");
            files[library!] = library!;
        }

        foreach (var name in Companions)
        {
            var source = new[] { "/usr/lib/cni", "/opt/cni/bin" }.Select(folder => Path.Combine(folder, name)).FirstOrDefault(File.Exists);
            Requirement.Need(source is not null, $"the CNI plugin {name} (containernetworking-plugins)");
            files[$"/app/cni/{name}"] = source!;
        }

        foreach (var file in files.Values.ToList())
        {
            foreach (var library in Libraries(file))
                files[library] = library;
        }

        foreach (
            var folder in Directory.EnumerateDirectories(
                "/usr/lib",
                "xtables",
                new EnumerationOptions { RecurseSubdirectories = true, MaxRecursionDepth = 1 }
            )
        )
        {
            foreach (var file in Directory.EnumerateFiles(folder, "*.so"))
                files[file] = file;
        }

        using var bytes = new MemoryStream();
        using (var tar = new TarWriter(bytes, TarEntryFormat.Pax, leaveOpen: true))
        {
            foreach (var folder in (string[])["dev", "etc", "proc", "run", "sys", "tmp", "var", "host"])
                tar.WriteEntry(new PaxTarEntry(TarEntryType.Directory, folder) { Mode = DockerArchive.Executable });
            // As in the base image of the Containerfile.
            tar.WriteEntry(new PaxTarEntry(TarEntryType.SymbolicLink, "var/run") { LinkName = "/run" });
            foreach (var (name, source) in files.OrderBy(item => item.Key, StringComparer.Ordinal))
                DockerArchive.AddFile(tar, name.TrimStart('/'), File.ReadAllBytes(source));
        }

        return bytes.ToArray();
    }

    /// <summary>Returns the libraries that ldd lists; none for a static file.</summary>
    private static IEnumerable<string> Libraries(string file)
    {
        var outcome = HelmRenderer.Run(new("ldd", [file]), TimeSpan.FromSeconds(10));
        Assert.DoesNotContain("not found", outcome.Output, StringComparison.Ordinal);
        return LibraryPath().Matches(outcome.Output).Select(match => match.Groups["path"].Value);
    }

    private static bool IsElf(string path)
    {
        using var file = File.OpenRead(path);
        Span<byte> magic = stackalloc byte[4];
        return file.ReadAtLeast(magic, magic.Length, throwOnEndOfStream: false) == magic.Length && magic.SequenceEqual("\u007fELF"u8);
    }

    [GeneratedRegex(@"(?<path>/\S+) \(0x", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex LibraryPath();
}
