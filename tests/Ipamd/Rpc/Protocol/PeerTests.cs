// SPDX-License-Identifier: Apache-2.0
using System.Net.Sockets;
using Grpc.Core;
using VpcCni.Ipamd.Hosting;
using VpcCni.Protos.Rpc;
using VpcCni.Tests.GrpcHarness;
using Xunit;

namespace VpcCni.Ipamd.Tests.Rpc.Protocol;

public sealed partial class PeerTests
{
    [Fact]
    public async Task Credentials_of_a_unix_client_are_the_kernels()
    {
        PeerCredentials? credentials = null;
        await using var server = await TestServer.StartAsync(
            Transport.UnixSocket,
            (_, context) =>
            {
                credentials = PeerCredentials.FromHttpContext(context.GetHttpContext());
                return Task.FromResult(new AddNetworkReply());
            }
        );
        await server.Client().AddNetworkAsync(new AddNetworkRequest());
        Assert.Equal(new PeerCredentials(Environment.ProcessId, EffectiveUserId(), EffectiveGroupId()), credentials);
        Assert.Equal(Environment.IsPrivilegedProcess, credentials!.Value.IsRoot);
    }

    [Fact]
    public async Task Credentials_are_those_of_the_calling_process_and_user()
    {
        VpcCni.Tests.Shared.Requirement.NeedRoot();
        var python = VpcCni.Tests.Shared.Requirement.NeedProgram("python3");
        var folder = Directory.CreateTempSubdirectory("grpc-test-").FullName;
        var path = Path.Combine(folder, "peer.sock");
        using var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listener.Bind(new UnixDomainSocketEndPoint(path));
        listener.Listen(1);
        using var child = System.Diagnostics.Process.Start(
            new System.Diagnostics.ProcessStartInfo(python)
            {
                ArgumentList =
                {
                    "-c",
                    "import os,socket,sys; p=sys.argv[1]; os.chmod(os.path.dirname(p),0o755); os.chmod(p,0o777); os.setegid(4321); "
                        + "os.seteuid(1234); s=socket.socket(socket.AF_UNIX); s.connect(p); s.recv(1)",
                    path,
                },
            }
        )!;
        try
        {
            using var accepted = await listener.AcceptAsync().WaitAsync(TimeSpan.FromSeconds(20));
            Assert.Equal(new PeerCredentials(child.Id, 1234, 4321), PeerCredentials.FromSocket(accepted));
        }
        finally
        {
            child.Kill();
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public async Task Tcp_client_has_an_address_and_no_credentials()
    {
        string? peer = null;
        var none = false;
        string? host = null;
        await using var server = await TestServer.StartAsync(
            Transport.LoopbackTcp,
            (_, context) =>
            {
                (peer, host) = (context.Peer, context.Host);
                none = PeerCredentials.FromHttpContext(context.GetHttpContext()) is null;
                return Task.FromResult(new AddNetworkReply());
            }
        );
        await server.Client().AddNetworkAsync(new AddNetworkRequest());
        Assert.Matches("^ipv4:127\\.0\\.0\\.1:[0-9]+$", peer!);
        Assert.Equal(server.Address.Authority, host);
        Assert.True(none);
    }

    [Fact]
    public async Task Context_has_the_method_and_user_state()
    {
        await using var server = await TestServer.StartAsync(
            Transport.UnixSocket,
            (_, context) =>
            {
                context.UserState["k"] = "v";
                return Task.FromResult(new AddNetworkReply { Success = context.UserState.Count == 1, PodENIMAC = context.Method });
            }
        );
        Assert.Equal(
            new AddNetworkReply { Success = true, PodENIMAC = "/rpc.CNIBackend/AddNetwork" },
            await server.Client().AddNetworkAsync(new AddNetworkRequest())
        );
    }

    [System.Runtime.InteropServices.LibraryImport("libc", EntryPoint = "geteuid")]
    private static partial uint EffectiveUserId();

    [System.Runtime.InteropServices.LibraryImport("libc", EntryPoint = "getegid")]
    private static partial uint EffectiveGroupId();
}
