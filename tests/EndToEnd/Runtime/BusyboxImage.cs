// SPDX-License-Identifier: Apache-2.0
using System.Formats.Tar;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;

namespace VpcCni.EndToEnd.Tests.Runtime;

/// <summary>
/// Builds a container image from the static busybox of this machine, in the format of <c>docker save</c>. It serves as sandbox and as
/// container, and has a page to serve.
/// </summary>
internal static class BusyboxImage
{
    public const string Name = "localhost/busybox:test";

    public const string Page = "hello from the pod";

    public static void Write(string path, string busybox, string architecture)
    {
        var layer = Layer(busybox);
        var config = new JsonObject
        {
            ["architecture"] = architecture,
            ["os"] = "linux",
            ["config"] = new JsonObject { ["Entrypoint"] = new JsonArray("/bin/busybox", "sleep", "3600") },
            ["rootfs"] = new JsonObject
            {
                ["type"] = "layers",
                ["diff_ids"] = new JsonArray($"sha256:{Convert.ToHexStringLower(SHA256.HashData(layer))}"),
            },
        };
        var manifest = new JsonArray(
            new JsonObject
            {
                ["Config"] = "config.json",
                ["RepoTags"] = new JsonArray(Name),
                ["Layers"] = new JsonArray("layer.tar"),
            }
        );
        using var file = File.Create(path);
        using var tar = new TarWriter(file, TarEntryFormat.Ustar);
        AddFile(tar, "config.json", Encoding.UTF8.GetBytes(config.ToJsonString()));
        AddFile(tar, "layer.tar", layer);
        AddFile(tar, "manifest.json", Encoding.UTF8.GetBytes(manifest.ToJsonString()));
    }

    private static byte[] Layer(string busybox)
    {
        using var bytes = new MemoryStream();
        using (var tar = new TarWriter(bytes, TarEntryFormat.Ustar, leaveOpen: true))
        {
            foreach (var folder in (string[])["bin", "dev", "etc", "proc", "run", "sys", "tmp", "www"])
                tar.WriteEntry(new UstarTarEntry(TarEntryType.Directory, folder) { Mode = Executable });
            AddFile(tar, "bin/busybox", File.ReadAllBytes(busybox));
            AddFile(tar, "www/index.html", Encoding.ASCII.GetBytes(Page));
        }

        return bytes.ToArray();
    }

    private static UnixFileMode Executable =>
        UnixFileMode.UserRead
        | UnixFileMode.UserWrite
        | UnixFileMode.UserExecute
        | UnixFileMode.GroupRead
        | UnixFileMode.GroupExecute
        | UnixFileMode.OtherRead
        | UnixFileMode.OtherExecute;

    private static void AddFile(TarWriter tar, string name, byte[] content) =>
        tar.WriteEntry(new UstarTarEntry(TarEntryType.RegularFile, name) { Mode = Executable, DataStream = new MemoryStream(content) });
}
