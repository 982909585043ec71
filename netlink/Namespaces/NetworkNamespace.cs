// SPDX-License-Identifier: Apache-2.0
using System.Net.Sockets;
using System.Runtime.ExceptionServices;
using Microsoft.Win32.SafeHandles;
using VpcCni.Netlink.Interop;

namespace VpcCni.Netlink;

/// <summary>
/// An open network namespace. It exists as long as this object, a name, a process or a socket refers to it. Disposing closes our reference
/// and nothing else. The namespace of a thread is only ever changed on a thread made for the purpose, which ends afterwards: a pool thread
/// in a foreign namespace would infect whatever runs on it next.
/// </summary>
public sealed class NetworkNamespace : IDisposable
{
    // The bodies are short and shallow; the default of 8 MiB would be address space for nothing.
    private const int ThreadStackBytes = 512 * 1024;

    private NetworkNamespace(SafeFileHandle handle, string? path)
    {
        Handle = handle;
        Path = path;
        Identity = NamespaceFile.Identify(handle, path);
    }

    /// <summary>The path it was opened or made under; null for an anonymous one. The name may be gone by now.</summary>
    public string? Path { get; }

    public SafeFileHandle Handle { get; }

    public NamespaceIdentity Identity { get; }

    /// <summary>Opens the namespace behind a path, e.g. /run/netns/blue or /proc/123/ns/net.</summary>
    /// <exception cref="NetworkNamespaceException">ENOENT, or EINVAL if the file is no network namespace.</exception>
    public static NetworkNamespace Open(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        return Adopt(NamespaceFile.Open(path), path);
    }

    /// <summary>The namespace of the calling thread.</summary>
    public static NetworkNamespace OpenCurrent() => Adopt(NamespaceFile.Open(NamespaceFile.OfCallingThread), path: null);

    /// <summary>Makes a namespace and names it, as `ip netns add` does. Its loopback link is down, as the kernel makes it.</summary>
    /// <exception cref="NetworkNamespaceException">EEXIST if the name is taken.</exception>
    public static NetworkNamespace CreateNamed(string name)
    {
        string path = PathOf(name);
        NamespaceFile.PrepareRunDirectory();
        NamespaceFile.CreateMountPoint(path);
        try
        {
            return OnFreshThread(() =>
            {
                NamespaceFile.EnterNew();
                NamespaceFile.BindCallingThreads(path);
                return Open(path);
            });
        }
        catch
        {
            NamespaceFile.Remove(path);
            throw;
        }
    }

    /// <summary>Makes a namespace without a name: it goes when the last reference (this object, its sockets, its processes) goes.</summary>
    public static NetworkNamespace CreateAnonymous() =>
        OnFreshThread(() =>
        {
            NamespaceFile.EnterNew();
            return OpenCurrent();
        });

    /// <summary>Removes a name, as `ip netns delete` does, but without complaint if there is none.</summary>
    public static void DeleteNamed(string name) => NamespaceFile.Remove(PathOf(name));

    /// <summary>Does this path lead to a network namespace?</summary>
    public static bool IsNamespacePath(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        try
        {
            using var handle = NamespaceFile.Open(path);
            return NamespaceFile.IsNetworkNamespace(handle);
        }
        catch (NetworkNamespaceException)
        {
            return false;
        }
    }

    /// <summary>
    /// Runs <paramref name="body"/> inside, on a fresh thread, and waits for it. A process started in the body inherits the namespace. Do
    /// not start asynchronous work in it: its continuations would run elsewhere. Exceptions arrive as they were thrown, with their stack.
    /// </summary>
    public T Run<T>(Func<T> body)
    {
        ArgumentNullException.ThrowIfNull(body);
        return OnFreshThread(() =>
        {
            NamespaceFile.Enter(Handle, Path);
            return body();
        });
    }

    /// <inheritdoc cref="Run{T}"/>
    public void Run(Action body)
    {
        ArgumentNullException.ThrowIfNull(body);
        Run(() =>
        {
            body();
            return true;
        });
    }

    /// <summary>A socket that lives in this namespace and may be used from anywhere.</summary>
    public Socket OpenSocket(AddressFamily addressFamily, SocketType socketType, ProtocolType protocolType) =>
        Run(() => new Socket(addressFamily, socketType, protocolType));

    public RouteNetlink OpenRouteNetlink() => RouteNetlink.Open(this);

    public void Dispose() => Handle.Dispose();

    public override string ToString() => Path ?? $"net:[{Identity.Inode}]";

    private static NetworkNamespace Adopt(SafeFileHandle handle, string? path)
    {
        try
        {
            if (!NamespaceFile.IsNetworkNamespace(handle))
                throw new NetworkNamespaceException(
                    path,
                    Errno.EINVAL,
                    $"{path} is not a network namespace; expected a file such as /run/netns/NAME or /proc/PID/ns/net"
                );
            return new NetworkNamespace(handle, path);
        }
        catch
        {
            handle.Dispose();
            throw;
        }
    }

    private static string PathOf(string name)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        if (name is "." or ".." || name.AsSpan().ContainsAny('/', '\0'))
            throw new ArgumentException($"'{name}' is no name for a network namespace: it has to be a plain file name", nameof(name));
        return $"{NamespaceFile.RunDirectory}/{name}";
    }

    private static T OnFreshThread<T>(Func<T> body)
    {
        T result = default!;
        ExceptionDispatchInfo? failure = null;
        var thread = new Thread(
            () =>
            {
                try
                {
                    result = body();
                }
                catch (Exception exception)
                {
                    failure = ExceptionDispatchInfo.Capture(exception);
                }
            },
            ThreadStackBytes
        )
        {
            IsBackground = true,
            Name = "netns",
        };
        thread.Start();
        thread.Join();
        failure?.Throw();
        return result;
    }
}
