// SPDX-License-Identifier: Apache-2.0
using VpcCni.Lab.GceApi;

namespace VpcCni.Lab.Hosting;

/// <summary>
/// Builds the environment of a node's daemon: the node's files instead of those under /var, the default ports (each node has its own
/// namespace), the cloud's API, and the variables that the manifest of aws-node sets. The user's variables override them.
/// </summary>
internal static class NodeEnvironment
{
    public static IReadOnlyDictionary<string, string> For(string node, NodePaths paths, LabOptions options)
    {
        var environment = new Dictionary<string, string>
        {
            ["VPCCNI_SOCKET_PATH"] = paths.IpamdSocket,
            ["AWS_VPC_K8S_CNI_BACKING_STORE"] = paths.Checkpoint,
            ["AWS_VPC_K8S_CNI_LOG_FILE"] = paths.IpamdLog,
            ["AWS_VPC_K8S_PLUGIN_LOG_FILE"] = paths.PluginLog,
            ["HOST_CNI_BIN_PATH"] = paths.CniBin,
            ["HOST_CNI_CONFDIR_PATH"] = paths.CniConf,
            ["VPCCNI_METRICS_BIND_ADDRESS"] = "127.0.0.1:61678",
            ["INTROSPECTION_BIND_ADDRESS"] = "127.0.0.1:61679",
            ["CLUSTER_NAME"] = options.Name,
            ["MY_NODE_NAME"] = node,
        };
        switch (options.Cloud)
        {
            case LabCloud.Aws:
                environment["AWS_EC2_ENDPOINT"] = VpcLab.CloudEndpoint;
                environment["AWS_REGION"] = "us-west-2";
                break;
            case LabCloud.Gce:
                // As gcloud names it.
                environment["CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE"] = $"{VpcLab.CloudEndpoint}{GceApiServer.PathPrefix}/";
                break;
            case LabCloud.Azure:
                // As the tools of Azure Stack name it.
                environment["ARM_ENDPOINT"] = VpcLab.CloudEndpoint;
                break;
        }

        if (options.HasKubernetes)
        {
            // In a pod, kubelet sets the first two, the manifest sets the third, and the folder is a mount.
            environment["KUBERNETES_SERVICE_HOST"] = LabCluster.Address.ToString();
            environment["KUBERNETES_SERVICE_PORT"] = $"{LabCluster.SecurePort}";
            environment["MY_POD_NAME"] = ClusterObjects.DaemonPodName(node);
            environment["VPCCNI_SERVICE_ACCOUNT_PATH"] = paths.ServiceAccount;
        }

        foreach (var (name, value) in options.FamilyEnvironment.Concat(options.Environment))
            environment[name] = value;
        return environment;
    }
}
