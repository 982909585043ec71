// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Kernel.Tests.HostNetwork;

/// <summary>A folder of programs that replace those of the machine.</summary>
internal sealed class Programs : IDisposable
{
    /// <summary>Path of the folder, with a trailing slash.</summary>
    public string Folder { get; } = Directory.CreateTempSubdirectory("vpccni-programs").FullName + "/";

    /// <summary>Writes a shell script.</summary>
    public void Write(string name, string script)
    {
        File.WriteAllText(Folder + name, $"#!/bin/sh\n{script}\n");
        File.SetUnixFileMode(Folder + name, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
    }

    /// <summary>Links the program of the machine.</summary>
    public void Link(string name) => File.CreateSymbolicLink(Folder + name, $"/usr/sbin/{name}");

    public void Dispose() => Directory.Delete(Folder, recursive: true);
}
