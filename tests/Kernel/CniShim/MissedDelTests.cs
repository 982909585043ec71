// SPDX-License-Identifier: Apache-2.0
using Grpc.Core;
using VpcCni.MissedDels;
using Xunit;

namespace VpcCni.Kernel.Tests.CniShim;

/// <summary>Which DELs leave a record for the daemon, its contents, and that DEL succeeds if it cannot be written.</summary>
public sealed class MissedDelTests : IDisposable
{
    private readonly string _run = Directory.CreateTempSubdirectory("missed-dels-").FullName;

    private string Socket => Path.Combine(_run, "ipamd.sock");

    private string Folder => Path.Combine(_run, MissedDelFolder.Name);

    public void Dispose() => Directory.Delete(_run, recursive: true);

    [Fact]
    public async Task Del_without_daemon_leaves_a_record_with_its_time_and_boot()
    {
        await using var lab = await ShimLab.StartAsync();
        var pod = lab.CreateNamespace("pod");
        lab.Add(pod);
        var before = (At: TimeProvider.System.GetUtcNow(), SinceBoot: TimeProvider.System.GetElapsedTime(0));

        var run = lab.Del(pod.Path!, socket: Socket);

        lab.AssertDeleted(run);
        Assert.Contains("a note is left", run.Stderr, StringComparison.Ordinal);
        var note = Assert.Single(Records());
        Assert.Equal(("aws-cni", "c1", "eth0"), (note.NetworkName, note.ContainerId, note.InterfaceName));
        Assert.InRange(note.At, before.At.AddMilliseconds(-1), TimeProvider.System.GetUtcNow());
        Assert.InRange(note.SinceBoot, before.SinceBoot, TimeProvider.System.GetElapsedTime(0));
        Assert.Equal(
            (await File.ReadAllTextAsync("/proc/sys/kernel/random/boot_id", TestContext.Current.CancellationToken)).Trim(),
            note.BootId
        );
    }

    [Fact]
    public async Task Repeated_Del_replaces_its_record_and_keeps_those_of_others()
    {
        await using var lab = await ShimLab.StartAsync();
        Assert.Equal(0, lab.Del("", socket: Socket).ExitCode);
        var first = Assert.Single(Records()).SinceBoot;

        Assert.Equal(0, lab.Del("", socket: Socket).ExitCode);
        Assert.True(Assert.Single(Records()).SinceBoot > first);
        Assert.Equal(0, lab.Del("", container: "c2", socket: Socket).ExitCode);
        var other = lab.Plugin("DEL", "").Set("CNI_IFNAME", "eth1");
        other.Config = other.Config.Replace(lab.Ipamd.SocketPath, Socket, StringComparison.Ordinal);
        Assert.Equal(0, other.RunIn(lab.Host).ExitCode);

        Assert.Equal(
            ["c1/eth0", "c1/eth1", "c2/eth0"],
            Records().Select(note => $"{note.ContainerId}/{note.InterfaceName}").Order(StringComparer.Ordinal)
        );
    }

    /// <summary>It is unknown whether the daemon executed the DEL.</summary>
    [Fact]
    public async Task Del_without_an_answer_in_time_leaves_a_record()
    {
        var never = new TaskCompletionSource();
        await using var lab = await ShimLab.StartAsync(state =>
            state.OnDel = (_, context) => never.Task.WaitAsync(context.CancellationToken)
        );
        var run = lab.Plugin("DEL", "");
        run.Config = run.Config.Replace("\"ipamdTimeoutSeconds\":20", "\"ipamdTimeoutSeconds\":1", StringComparison.Ordinal);

        Assert.Equal(0, run.RunIn(lab.Host).ExitCode);

        Assert.Single(Records(lab.Ipamd.SocketPath));
    }

    [Theory]
    [InlineData(StatusCode.Internal, 1)]
    [InlineData(StatusCode.Unavailable, 1)]
    [InlineData(StatusCode.NotFound, 0)]
    public async Task Del_that_the_daemon_answers_with_an_error_leaves_no_record(StatusCode answer, int exitCode)
    {
        await using var lab = await ShimLab.StartAsync(state =>
            state.OnDel = (_, _) => throw new RpcException(new Status(answer, "as asked for"))
        );

        Assert.Equal(exitCode, lab.Del("").ExitCode);

        Assert.False(Directory.Exists(Path.Combine(Path.GetDirectoryName(lab.Ipamd.SocketPath)!, MissedDelFolder.Name)));
    }

    [Fact]
    public async Task Del_that_succeeds_leaves_no_record()
    {
        await using var lab = await ShimLab.StartAsync();
        var pod = lab.CreateNamespace("pod");
        lab.Add(pod);

        lab.AssertDeleted(lab.Del(pod.Path!));

        Assert.False(Directory.Exists(Path.Combine(Path.GetDirectoryName(lab.Ipamd.SocketPath)!, MissedDelFolder.Name)));
    }

    [Theory]
    [InlineData("link", "symbolic link")]
    [InlineData("file", "not a folder")]
    [InlineData("writable", "expected user")]
    [InlineData("full", ", the maximum")]
    [InlineData("no parent", "no such file or directory")]
    public async Task Del_succeeds_if_the_record_cannot_be_written(string obstacle, string said)
    {
        await using var lab = await ShimLab.StartAsync();
        var pod = lab.CreateNamespace("pod");
        lab.Add(pod);
        var elsewhere = Directory.CreateDirectory(Path.Combine(_run, "elsewhere")).FullName;
        var socket = Socket;
        switch (obstacle)
        {
            case "link":
                Directory.CreateSymbolicLink(Folder, elsewhere);
                break;
            case "file":
                await File.WriteAllTextAsync(Folder, "", TestContext.Current.CancellationToken);
                break;
            case "writable":
                Directory.CreateDirectory(Folder);
                File.SetUnixFileMode(Folder, (UnixFileMode)0x1FF);
                break;
            case "full":
                MissedDelFolder.Open(Socket).Dispose();
                for (var index = 0; index < MissedDelFolder.MaxFiles; index++)
                    await File.WriteAllBytesAsync(Path.Combine(Folder, $"{index}"), [], TestContext.Current.CancellationToken);
                break;
            default:
                socket = Path.Combine(_run, "none", "ipamd.sock");
                break;
        }

        var run = lab.Del(pod.Path!, socket: socket);

        lab.AssertDeleted(run);
        Assert.Contains(said, run.Stderr, StringComparison.Ordinal);
        Assert.Contains("the address stays reserved", run.Stderr, StringComparison.Ordinal);
        Assert.Empty(Directory.EnumerateFileSystemEntries(elsewhere));
    }

    private List<MissedDel> Records(string? socket = null)
    {
        using var folder = MissedDelFolder.Open(socket ?? Socket);
        var names = folder.Names(10);
        Assert.All(names, name => Assert.True(MissedDelFolder.IsRecord(name), name));
        return [.. names.Select(name => MissedDelFormat.Read(folder.Read(name)))];
    }
}
