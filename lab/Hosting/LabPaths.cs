// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Lab.Hosting;

/// <summary>Files of one lab, all below one folder that only its owner may enter.</summary>
internal sealed class LabPaths(string runFolder, string lab)
{
    public string Folder { get; } = Path.Combine(runFolder, lab);

    public string RunFolder => runFolder;

    /// <summary>Held as long as the lab runs.</summary>
    public string Lock => Path.Combine(runFolder, lab + ".lock");

    /// <summary>Who runs the lab; see <see cref="LabStateFile"/>.</summary>
    public string State => Path.Combine(Folder, "state.json");

    public string ControlSocket => Path.Combine(Folder, "control.sock");

    /// <summary>For kubectl; holds a token.</summary>
    public string Kubeconfig => Path.Combine(Folder, "kubeconfig");

    /// <summary>
    /// Output of a lab in the background. Outside of the folder, so that it outlives a lab that fails to start and can say why.
    /// </summary>
    public string BackgroundLog => Path.Combine(runFolder, lab + ".log");

    public NodePaths Node(string node) => new(Path.Combine(Folder, node));
}

/// <summary>
/// Files of one node: what would be in /var/run/aws-node, /var/log/aws-routed-eni, /opt/cni/bin and /etc/cni/net.d of a real one.
/// </summary>
internal sealed record NodePaths(string Folder)
{
    public string IpamdSocket => Path.Combine(Folder, "ipamd.sock");

    public string Checkpoint => Path.Combine(Folder, "ipam.json");

    public string IpamdLog => Path.Combine(Folder, "ipamd.log");

    /// <summary>What the daemon wrote to its standard output and error.</summary>
    public string IpamdOutput => Path.Combine(Folder, "ipamd.out");

    public string PluginLog => Path.Combine(Folder, "plugin.log");

    public string CniBin => Path.Combine(Folder, "cni-bin");

    public string CniConf => Path.Combine(Folder, "cni-conf");

    /// <summary>What would be /var/log/aws-routed-eni, where a daemon is told to log there by that name.</summary>
    public string LogFolder => Path.Combine(Folder, "var-log");

    /// <summary>What would be mounted at /var/run/secrets/kubernetes.io/serviceaccount: ca.crt, token, namespace.</summary>
    public string ServiceAccount => Path.Combine(Folder, "serviceaccount");

    public void Create()
    {
        Directory.CreateDirectory(CniBin);
        Directory.CreateDirectory(CniConf);
    }
}
