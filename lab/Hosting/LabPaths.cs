// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Lab.Hosting;

/// <summary>Paths of one lab's files. Its folder is accessible to its owner only.</summary>
internal sealed class LabPaths(string runFolder, string lab)
{
    public string Folder { get; } = Path.Combine(runFolder, lab);

    public string RunFolder => runFolder;

    /// <summary>Lock file; the lab holds it while it runs.</summary>
    public string Lock => Path.Combine(runFolder, lab + ".lock");

    /// <summary>State file, which names the lab's process; see <see cref="LabStateFile"/>.</summary>
    public string State => Path.Combine(Folder, "state.json");

    public string ControlSocket => Path.Combine(Folder, "control.sock");

    /// <summary>Kubeconfig; contains a token.</summary>
    public string Kubeconfig => Path.Combine(Folder, "kubeconfig");

    /// <summary>
    /// Output of a lab that runs in the background. It is outside <see cref="Folder"/>, so that it is still there after a lab fails to
    /// start.
    /// </summary>
    public string BackgroundLog => Path.Combine(runFolder, lab + ".log");

    public NodePaths Node(string node) => new(Path.Combine(Folder, node));
}

/// <summary>
/// Paths of one node's files: on a real node they are in /var/run/aws-node, /var/log/aws-routed-eni, /opt/cni/bin and /etc/cni/net.d.
/// </summary>
internal sealed record NodePaths(string Folder)
{
    public string IpamdSocket => Path.Combine(Folder, "ipamd.sock");

    public string Checkpoint => Path.Combine(Folder, "ipam.json");

    public string IpamdLog => Path.Combine(Folder, "ipamd.log");

    /// <summary>The daemon's standard output and error.</summary>
    public string IpamdOutput => Path.Combine(Folder, "ipamd.out");

    public string PluginLog => Path.Combine(Folder, "plugin.log");

    public string CniBin => Path.Combine(Folder, "cni-bin");

    public string CniConf => Path.Combine(Folder, "cni-conf");

    /// <summary>Stands for /var/log/aws-routed-eni.</summary>
    public string LogFolder => Path.Combine(Folder, "var-log");

    /// <summary>Stands for /var/run/secrets/kubernetes.io/serviceaccount: ca.crt, token, namespace.</summary>
    public string ServiceAccount => Path.Combine(Folder, "serviceaccount");

    public void Create()
    {
        Directory.CreateDirectory(CniBin);
        Directory.CreateDirectory(CniConf);
    }
}
