// SPDX-License-Identifier: Apache-2.0
using System.Net.Sockets;
using System.Runtime.ExceptionServices;
using Microsoft.Win32.SafeHandles;
using VpcCni.Netlink.Interop;

namespace VpcCni.Netlink;

/// <summary>
/// An open network namespace. The namespace exists as long as this object, a name, a process or a socket refers to it; disposing releases
/// only this object's reference. Thread-safe. The namespace of a thread is changed only on a thread created for the purpose, which ends
/// afterwards: a thread of the pool would run later work in the wrong namespace.
/// </summary>
public sealed class NetworkNamespace : IDisposable
{
    // The bodies need little stack; the default of 8 MiB would waste address space.
    private const int ThreadStackBytes = 512 * 1024;

    private NetworkNamespace(SafeFileHandle handle, string? path)
    {
        Handle = handle;
        Path = path;
        Identity = NamespaceFile.Identify(handle, path);
    }

    /// <summary>
    /// The path under which it was opened or created; null for an anonymous namespace. The name may have been removed since.
    /// </summary>
    public string? Path { get; }

    public SafeFileHandle Handle { get; }

    public NamespaceIdentity Identity { get; }

    /// <summary>Opens the namespace at a path such as /run/netns/blue or /proc/123/ns/net.</summary>
    /// <exception cref="NetworkNamespaceException">
    /// ENOENT if the path does not exist, EINVAL if the file is not a network namespace.
    /// </exception>
    public static NetworkNamespace Open(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        return Adopt(NamespaceFile.Open(path), path);
    }

    /// <summary>Opens the namespace of the calling thread.</summary>
    public static NetworkNamespace OpenCurrent() => Adopt(NamespaceFile.Open(NamespaceFile.CallingThreadPath), path: null);

    /// <summary>Creates a namespace and its name, as <c>ip netns add</c> does. Its loopback link is down.</summary>
    /// <exception cref="NetworkNamespaceException">EEXIST if the name exists.</exception>
    public static NetworkNamespace CreateNamed(string name)
    {
        string path = PathOf(name);
        NamespaceFile.PrepareRunDirectory();
        NamespaceFile.CreateMountPoint(path);
        try
        {
            return OnNewThread(() =>
            {
                NamespaceFile.EnterNew();
                NamespaceFile.BindCallingThread(path);
                return Open(path);
            });
        }
        catch
        {
            NamespaceFile.Remove(path);
            throw;
        }
    }

    /// <summary>
    /// Creates a namespace without a name. The kernel removes it when its last reference (this object, a socket, a process) is gone.
    /// </summary>
    public static NetworkNamespace CreateAnonymous() =>
        OnNewThread(() =>
        {
            NamespaceFile.EnterNew();
            return OpenCurrent();
        });

    /// <summary>Removes a name, as <c>ip netns delete</c> does. Succeeds if the name does not exist.</summary>
    public static void DeleteNamed(string name) => NamespaceFile.Remove(PathOf(name));

    /// <summary>Returns whether the path is a network namespace; false if it cannot be opened.</summary>
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
    /// Runs <paramref name="body"/> in the namespace, on a new thread, and waits for it. A process started in the body inherits the
    /// namespace. The body must not start asynchronous work, whose continuations would run in another namespace. Exceptions of the body are
    /// rethrown with their stack trace.
    /// </summary>
    public T Run<T>(Func<T> body)
    {
        ArgumentNullException.ThrowIfNull(body);
        return OnNewThread(() =>
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

    /// <summary>Opens a socket in this namespace; any thread may use it.</summary>
    public Socket OpenSocket(AddressFamily addressFamily, SocketType socketType, ProtocolType protocolType) =>
        Run(() => new Socket(addressFamily, socketType, protocolType));

    /// <summary>Opens a netlink socket in this namespace; any thread may use it.</summary>
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
            throw new ArgumentException(
                $"'{name}' is not a valid name of a network namespace: it must be a file name without '/'",
                nameof(name)
            );
        return $"{NamespaceFile.RunDirectory}/{name}";
    }

    private static T OnNewThread<T>(Func<T> body)
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
