// SPDX-License-Identifier: Apache-2.0
using VpcCni.Tests.Shared;

namespace VpcCni.EndToEnd.Tests;

/// <summary>Paths of the binaries that <c>make build</c> writes to <c>out/</c>.</summary>
internal static class Binaries
{
    public static string Ipamd => Need("ipamd");

    public static string Plugin => Need("vpc-cni");

    /// <summary>Path of the repository.</summary>
    public static string Root
    {
        get
        {
            var folder = new DirectoryInfo(AppContext.BaseDirectory);
            while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "VpcCni.sln")))
                folder = folder.Parent;
            return folder?.FullName ?? "/";
        }
    }

    private static string Need(string name)
    {
        var path = Path.Combine(Root, "out", name);
        Requirement.Need(File.Exists(path), $"out/{name} (make build)");
        return path;
    }
}
