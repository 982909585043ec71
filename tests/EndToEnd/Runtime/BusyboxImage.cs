// SPDX-License-Identifier: Apache-2.0
using System.Formats.Tar;
using System.Text;

namespace VpcCni.EndToEnd.Tests.Runtime;

/// <summary>
/// Builds a container image from the static busybox of this machine, in the format of <c>docker save</c>. It serves as sandbox and as
/// container, and has a page to serve.
/// </summary>
internal static class BusyboxImage
{
    public const string Name = "localhost/busybox:test";

    public const string Page = "hello from the pod";

    public static void Write(string path, string busybox) =>
        DockerArchive.Write(path, Name, ["/bin/busybox", "sleep", "3600"], Layer(busybox));

    private static byte[] Layer(string busybox)
    {
        using var bytes = new MemoryStream();
        using (var tar = new TarWriter(bytes, TarEntryFormat.Pax, leaveOpen: true))
        {
            foreach (var folder in (string[])["bin", "dev", "etc", "proc", "run", "sys", "tmp", "www"])
                tar.WriteEntry(new PaxTarEntry(TarEntryType.Directory, folder) { Mode = DockerArchive.Executable });
            DockerArchive.AddFile(tar, "bin/busybox", File.ReadAllBytes(busybox));
            DockerArchive.AddFile(tar, "www/index.html", Encoding.ASCII.GetBytes(Page));
        }

        return bytes.ToArray();
    }
}
