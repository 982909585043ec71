// SPDX-License-Identifier: Apache-2.0
using System.Formats.Tar;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;

namespace VpcCni.EndToEnd.Tests.Runtime;

/// <summary>Writes container images of one layer in the format of <c>docker save</c>, for the architecture of this machine.</summary>
internal static class DockerArchive
{
    /// <summary>Permissions 0755.</summary>
    public const UnixFileMode Executable =
        UnixFileMode.UserRead
        | UnixFileMode.UserWrite
        | UnixFileMode.UserExecute
        | UnixFileMode.GroupRead
        | UnixFileMode.GroupExecute
        | UnixFileMode.OtherRead
        | UnixFileMode.OtherExecute;

    public static void Write(string path, string name, string[] entrypoint, byte[] layer)
    {
        var config = new JsonObject
        {
            ["architecture"] = RuntimeInformation.ProcessArchitecture == Architecture.Arm64 ? "arm64" : "amd64",
            ["os"] = "linux",
            ["config"] = new JsonObject { ["Entrypoint"] = new JsonArray([.. entrypoint]) },
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
                ["RepoTags"] = new JsonArray(name),
                ["Layers"] = new JsonArray("layer.tar"),
            }
        );
        using var file = File.Create(path);
        using var tar = new TarWriter(file, TarEntryFormat.Pax);
        AddFile(tar, "config.json", Encoding.UTF8.GetBytes(config.ToJsonString()));
        AddFile(tar, "layer.tar", layer);
        AddFile(tar, "manifest.json", Encoding.UTF8.GetBytes(manifest.ToJsonString()));
    }

    /// <summary>Adds an executable file to an archive.</summary>
    public static void AddFile(TarWriter tar, string name, byte[] content) =>
        tar.WriteEntry(new PaxTarEntry(TarEntryType.RegularFile, name) { Mode = Executable, DataStream = new MemoryStream(content) });
}
