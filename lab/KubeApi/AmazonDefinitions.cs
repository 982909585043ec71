// SPDX-License-Identifier: Apache-2.0
using System.Text;
using VpcCni.Lab.KubeApi.Store;

namespace VpcCni.Lab.KubeApi;

/// <summary>
/// Definitions of the custom resources of an EKS cluster: ENIConfig (from aws-node's manifest) and CNINode (from the VPC resource
/// controller).
/// </summary>
internal static class AmazonDefinitions
{
    public const string EniConfigGroup = "crd.k8s.amazonaws.com";
    public const string CniNodeGroup = "vpcresources.k8s.aws";
    public const string Version = "v1alpha1";

    public static void Install(KubeStore store)
    {
        foreach (var definition in (ReadOnlySpan<string>)[EniConfig, CniNode])
            store.Create(BuiltInTypes.Definitions, "", KubeJson.Parse(Encoding.UTF8.GetBytes(definition))!.AsObject());
    }

    public static ResourceType CniNodes(KubeStore store) =>
        store.FindType(CniNodeGroup, Version, "cninodes")
        ?? throw new InvalidOperationException("the CustomResourceDefinition of CNINode was deleted");

    /// <summary>
    /// The schema accepts any content, like the one in aws-node's manifest. The daemon validates ENIConfigs.
    /// </summary>
    private const string EniConfig = """
        {
          "metadata": { "name": "eniconfigs.crd.k8s.amazonaws.com" },
          "spec": {
            "group": "crd.k8s.amazonaws.com", "scope": "Cluster",
            "names": { "plural": "eniconfigs", "singular": "eniconfig", "kind": "ENIConfig" },
            "versions": [
              { "name": "v1alpha1", "served": true, "storage": true, "schema": { "openAPIV3Schema": { "type": "object", "x-kubernetes-preserve-unknown-fields": true } } }
            ]
          }
        }
        """;

    private const string CniNode = """
        {
          "metadata": { "name": "cninodes.vpcresources.k8s.aws" },
          "spec": {
            "group": "vpcresources.k8s.aws", "scope": "Cluster",
            "names": { "plural": "cninodes", "singular": "cninode", "kind": "CNINode", "shortNames": ["cnd"] },
            "versions": [
              {
                "name": "v1alpha1", "served": true, "storage": true, "subresources": { "status": {} },
                "additionalPrinterColumns": [{ "name": "Features", "type": "string", "description": "The features of the CNINode", "jsonPath": ".spec.features" }],
                "schema": {
                  "openAPIV3Schema": {
                    "type": "object",
                    "properties": {
                      "spec": {
                        "type": "object",
                        "properties": {
                          "features": {
                            "type": "array",
                            "items": { "type": "object", "properties": { "name": { "type": "string", "enum": ["SecurityGroupsForPods", "CustomNetworking"] }, "value": { "type": "string" } } }
                          },
                          "tags": { "type": "object", "additionalProperties": { "type": "string" } }
                        }
                      },
                      "status": { "type": "object" }
                    }
                  }
                }
              }
            ]
          }
        }
        """;
}
