// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Hosting;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Ipamd.Tests.Hosting;

public sealed class SingleInstanceTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("vpccni-lock-");

    private string Lock => Path.Combine(_folder.FullName, "ipam.json.lock");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public async Task Lock_file_readable_by_all_is_made_private()
    {
        File.WriteAllText(Lock, "");
        File.SetUnixFileMode(Lock, (UnixFileMode)0b110_100_100);
        using var held = await SingleInstance.AcquireAsync(Lock, TimeProvider.System, TestContext.Current.CancellationToken);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Lock));
    }

    [Fact]
    public async Task Acquired_lock_names_its_owner()
    {
        var time = new ManualTimeProvider();
        using var held = await SingleInstance.AcquireAsync(Lock, time, TestContext.Current.CancellationToken);
        var second = SingleInstance.AcquireAsync(Lock, time, TestContext.Current.CancellationToken);
        for (var step = 0; step < 100 && !second.IsCompleted; step++)
            time.Advance(TimeSpan.FromMilliseconds(100));
        var refused = await Assert.ThrowsAsync<IOException>(() => second);
        Assert.Contains($"process {Environment.ProcessId} (", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Symbolic_link_as_lock_file_is_not_followed()
    {
        var target = Path.Combine(_folder.FullName, "target");
        File.CreateSymbolicLink(Lock, target);
        var refused = await Assert.ThrowsAsync<IOException>(() =>
            SingleInstance.AcquireAsync(Lock, TimeProvider.System, TestContext.Current.CancellationToken)
        );
        Assert.Contains("symbolic link", refused.Message, StringComparison.Ordinal);
        Assert.False(File.Exists(target));
    }
}
