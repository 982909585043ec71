// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Security.Cryptography;
using System.Text.Json.Nodes;
using VpcCni.Lab.Fabric;
using VpcCni.Lab.KubeApi;
using VpcCni.Lab.KubeApi.Store;

namespace VpcCni.Lab.Hosting;

/// <summary>
/// The Kubernetes cluster of the lab's nodes: the API with its certificates and tokens, the nodes' service-account folders, and the Node
/// and Pod objects.
/// </summary>
internal sealed class LabCluster : IAsyncDisposable
{
    /// <summary>The address at which nodes reach the API, like the cluster IP of the service <c>kubernetes</c>.</summary>
    public static readonly IPAddress Address = FabricAddresses.KubernetesApi;

    public const int SecurePort = 443;
    public const int PlainPort = 80;

    private static readonly string User = KubeTokens.ServiceAccount(ClusterObjects.SystemNamespace, ClusterObjects.Daemon);

    private readonly LabPaths _paths;
    private readonly TimeProvider _time;
    private readonly ILoggerProvider _logging;
    private readonly KubeCertificates _certificates;
    private readonly SemaphoreSlim _switch = new(1);
    private readonly JsonObject _daemonSet;
    private readonly Lock _folderLock = new();
    private readonly List<string> _folders = [];
    private Func<CancellationToken, Task<NamespaceServer>>? _listen;
    private NamespaceServer? _server;

    public LabCluster(LabPaths paths, TimeProvider time, ILoggerProvider logging)
    {
        _paths = paths;
        _time = time;
        _logging = logging;
        Plane = new KubeControlPlane(time, NewRandom(), NewRandom(), new KubeStoreOptions { GracefulPodDeletion = true });
        _certificates = new KubeCertificates(time.GetUtcNow(), Address, IPAddress.Loopback);
        Store.Create(SystemType("serviceaccounts"), ClusterObjects.SystemNamespace, ClusterObjects.ServiceAccount());
        _daemonSet = Store.Create(BuiltInTypes.DaemonSets, ClusterObjects.SystemNamespace, ClusterObjects.DaemonSet());
    }

    public KubeControlPlane Plane { get; }

    private KubeStore Store => Plane.Store;

    /// <summary>False while connections from the nodes are refused.</summary>
    public bool IsListening => _server is not null;

    /// <summary>Starts serving the nodes from the router's namespace, with TLS and in plain HTTP.</summary>
    public async Task ServeAsync(VpcFabric fabric, CancellationToken cancellationToken)
    {
        Task HandleAsync(HttpContext context) =>
            context.Connection.LocalPort == SecurePort ? Plane.Secure(context) : Plane.Insecure(context);
        ListenPoint[] points =
        [
            new(fabric.Router, new IPEndPoint(Address, PlainPort)),
            new(fabric.Router, new IPEndPoint(Address, SecurePort)) { Certificate = _certificates.Server },
        ];
        _listen = cancel => NamespaceServer.StartAsync(points, HandleAsync, _logging, cancel);
        _server = await _listen(cancellationToken);
    }

    /// <summary>
    /// Stops or resumes listening for the nodes; while stopped, their connections are refused. Idempotent.
    /// </summary>
    public async Task SetListeningAsync(bool isListening, CancellationToken cancellationToken)
    {
        await _switch.WaitAsync(cancellationToken);
        try
        {
            if (isListening == IsListening || _listen is null)
                return;
            if (isListening)
            {
                _server = await _listen(cancellationToken);
                return;
            }

            Plane.Watches.CloseAll();
            var server = _server!;
            _server = null;
            await server.DisposeAsync();
        }
        finally
        {
            _switch.Release();
        }
    }

    /// <summary>
    /// Creates a node's objects (Node, on AWS CNINode, Lease, the daemon's Pod) and its service-account folder with certificate and token.
    /// </summary>
    public void AddNode(LabNode node)
    {
        var now = _time.GetUtcNow();
        Store.Create(BuiltInTypes.Nodes, "", ClusterObjects.Node(node.Name, node.Machine, node.PodRanges, node.InternalAddresses, now));
        if (node.Machine.Ec2Instance is not null)
            Store.Create(AmazonDefinitions.CniNodes(Store), "", ClusterObjects.CniNode(node.Name));
        Store.Create(BuiltInTypes.Leases, ClusterObjects.LeaseNamespace, ClusterObjects.Lease(node.Name, now));
        var daemon = Store.Create(BuiltInTypes.Pods, ClusterObjects.SystemNamespace, ClusterObjects.DaemonPod(node.Name, _daemonSet));
        SetStatus(daemon, ClusterObjects.RunningStatus(daemon, node.InternalAddresses, node.InternalAddresses, now));
        lock (_folderLock)
            _folders.Add(node.Paths.ServiceAccount);
        WriteFolder(node.Paths.ServiceAccount);
    }

    /// <summary>Writes a new token to every node's folder, as kubelet does within the hour.</summary>
    /// <param name="revoke">Revokes the old tokens; otherwise they stay valid.</param>
    public void RotateTokens(bool revoke)
    {
        lock (_folderLock)
        {
            if (revoke)
                Plane.Tokens.RevokeAllExcept(User, token: null);
            foreach (var folder in _folders)
                WriteFolder(folder);
        }
    }

    /// <summary>Creates the object of a pod that the lab is about to wire, and its namespace if it does not exist.</summary>
    /// <exception cref="LabException">The pod exists, or Kubernetes rejects its name.</exception>
    public JsonObject CreatePod(string node, PodName pod)
    {
        try
        {
            EnsureNamespace(pod.Namespace);
            return Store.Create(BuiltInTypes.Pods, pod.Namespace, ClusterObjects.Pod(node, pod));
        }
        catch (KubeStatusException error)
        {
            throw new LabException(error.Message, error);
        }
    }

    public JsonObject? FindPod(PodName pod) => Store.Find(BuiltInTypes.Pods, pod.Namespace, pod.Name);

    public void SetRunning(JsonObject pod, IReadOnlyList<IPAddress> podAddresses, IReadOnlyList<IPAddress> nodeAddresses) =>
        SetStatus(pod, ClusterObjects.RunningStatus(pod, podAddresses, nodeAddresses, _time.GetUtcNow()));

    public void SetWaiting(JsonObject pod) => SetStatus(pod, ClusterObjects.WaitingStatus(pod, _time.GetUtcNow()));

    /// <summary>Deletes a pod's object without a grace period, if it still exists with the same uid.</summary>
    public void RemovePod(JsonObject pod)
    {
        try
        {
            Store.Delete(
                BuiltInTypes.Pods,
                pod.Text("metadata", "namespace"),
                pod.Text("metadata", "name"),
                new Preconditions(Uid: pod.Text("metadata", "uid"), GracePeriodSeconds: 0)
            );
        }
        catch (KubeStatusException error) when (error.Code is HttpStatusCode.NotFound or HttpStatusCode.Conflict)
        {
            // Another client deleted it, and may have created a new pod of the same name.
        }
    }

    public void SetUnschedulable(JsonObject pod, string why) => SetStatus(pod, ClusterObjects.UnschedulableStatus(why, _time.GetUtcNow()));

    /// <summary>Creates an event about a pod; does nothing if the pod's namespace no longer exists.</summary>
    public void RecordEvent(JsonObject pod, string type, string reason, string message, string component)
    {
        try
        {
            Store.Create(
                BuiltInTypes.Events,
                pod.Text("metadata", "namespace"),
                ClusterObjects.Event(pod, type, reason, message, component, _time.GetUtcNow())
            );
        }
        catch (KubeStatusException error) when (error.Code == HttpStatusCode.NotFound)
        {
            // The namespace was deleted, with its events.
        }
    }

    /// <summary>
    /// Writes a kubeconfig with the context <c>node</c>, for use in a node's namespace, and the context <c>lab</c>, for the machine's
    /// loopback, if the lab listens there.
    /// </summary>
    public void WriteKubeconfig(IPEndPoint? listen)
    {
        File.WriteAllText(
            _paths.Kubeconfig,
            Hosting.Kubeconfig.Text(
                listen,
                new IPEndPoint(Address, SecurePort),
                _certificates.AuthorityPem,
                Plane.Tokens.Issue(KubeTokens.Administrator)
            )
        );
        File.SetUnixFileMode(_paths.Kubeconfig, UnixFileMode.UserRead | UnixFileMode.UserWrite);
    }

    /// <summary>Arms a fault of the Kubernetes API.</summary>
    /// <exception cref="LabException">The fault cannot match any request.</exception>
    public void Inject(KubeFaultSpec fault)
    {
        try
        {
            Plane.Faults.Arm(
                new KubeFault
                {
                    Kind = fault.Kind,
                    Verb = fault.Verb,
                    Resource = fault.Resource,
                    Times = fault.Times,
                    Code = fault.Code ?? new KubeFault { Kind = fault.Kind }.Code,
                    RetryAfter = fault.RetryAfterSeconds is { } wait ? TimeSpan.FromSeconds(wait) : null,
                    Delay = TimeSpan.FromMilliseconds(fault.DelayMilliseconds ?? 0),
                }
            );
        }
        catch (ArgumentException error)
        {
            throw new LabException(error.Message, error);
        }
    }

    public async Task RunActionAsync(KubeActionSpec spec, CancellationToken cancellationToken)
    {
        switch (spec.Action)
        {
            case KubeAction.CloseWatches:
                Plane.Watches.CloseAll();
                break;
            case KubeAction.Compact:
                Store.Compact();
                Plane.Watches.CloseAll();
                break;
            case KubeAction.BeginOutage:
                await SetListeningAsync(isListening: false, cancellationToken);
                break;
            case KubeAction.EndOutage:
                await SetListeningAsync(isListening: true, cancellationToken);
                break;
            case KubeAction.RotateTokens:
                RotateTokens(spec.Revoke);
                break;
            default:
                throw new LabException($"unknown action '{spec.Action}'");
        }
    }

    public ClusterStatus Status() =>
        new()
        {
            Endpoint = $"https://{Address}",
            IsListening = IsListening,
            Kubeconfig = _paths.Kubeconfig,
            OpenWatches = Plane.Watches.Count,
            Calls = Plane.Calls.Counts,
            Faults =
            [
                .. Plane.Faults.Armed.Select(fault => new KubeFaultSpec
                {
                    Kind = fault.Kind,
                    Verb = fault.Verb,
                    Resource = fault.Resource,
                    Times = fault.Times,
                    Code = fault.Kind == KubeFaultKind.Status ? fault.Code : null,
                    RetryAfterSeconds = fault.RetryAfter?.TotalSeconds,
                    DelayMilliseconds = fault.Kind == KubeFaultKind.Slow ? fault.Delay.TotalMilliseconds : null,
                }),
            ],
        };

    public async ValueTask DisposeAsync()
    {
        Plane.Dispose();
        if (_server is not null)
            await _server.DisposeAsync();
        _certificates.Dispose();
        _switch.Dispose();
    }

    private static Random NewRandom() => new(RandomNumberGenerator.GetInt32(int.MaxValue));

    private ResourceType SystemType(string plural) =>
        Store.FindType("", "v1", plural) ?? throw new InvalidOperationException($"the API has no {plural}");

    private void EnsureNamespace(string name)
    {
        try
        {
            Store.Create(BuiltInTypes.Namespaces, "", new JsonObject { ["metadata"] = new JsonObject { ["name"] = name } });
        }
        catch (KubeStatusException error) when (error.Reason == "AlreadyExists")
        {
            // The namespace exists, which is all that the caller needs.
        }
    }

    private void SetStatus(JsonObject pod, JsonObject status)
    {
        try
        {
            Store.Patch(
                BuiltInTypes.Pods,
                pod.Text("metadata", "namespace"),
                pod.Text("metadata", "name"),
                current =>
                {
                    current["status"] = status;
                    return current;
                },
                new WriteOptions(Subresource: WriteOptions.Status)
            );
        }
        catch (KubeStatusException error) when (error.Code == HttpStatusCode.NotFound)
        {
            // The pod was deleted meanwhile.
        }
    }

    /// <summary>
    /// Writes the files of /var/run/secrets/kubernetes.io/serviceaccount. Renames the token into place, so that no reader sees part of
    /// one.
    /// </summary>
    private void WriteFolder(string folder)
    {
        Directory.CreateDirectory(folder);
        File.WriteAllText(Path.Combine(folder, "ca.crt"), _certificates.AuthorityPem);
        File.WriteAllText(Path.Combine(folder, "namespace"), ClusterObjects.SystemNamespace);
        var token = Path.Combine(folder, "token");
        File.WriteAllText(token + ".new", Plane.Tokens.Issue(User));
        File.Move(token + ".new", token, overwrite: true);
    }
}
