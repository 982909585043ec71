// SPDX-License-Identifier: Apache-2.0
using System.Collections.Frozen;

namespace VpcCni.Lab.KubeApi.Store;

/// <summary>
/// The built-in kinds: those that ipamd and kubectl read and write, and those that the chart installs. No controller acts on the latter.
/// </summary>
internal static class BuiltInTypes
{
    private static readonly FrozenSet<string> EventFields =
    [
        "involvedObject.kind",
        "involvedObject.namespace",
        "involvedObject.name",
        "involvedObject.uid",
        "involvedObject.apiVersion",
        "involvedObject.resourceVersion",
        "involvedObject.fieldPath",
        "reason",
        "reportingComponent",
        "source",
        "type",
    ];

    public static ResourceType Namespaces { get; } =
        new()
        {
            Version = "v1",
            Plural = "namespaces",
            Singular = "namespace",
            Kind = "Namespace",
            HasStatus = true,
            ShortNames = ["ns"],
            SelectableFields = ["status.phase"],
            Columns = BuiltInColumns.Namespaces,
        };

    public static ResourceType Nodes { get; } =
        new()
        {
            Version = "v1",
            Plural = "nodes",
            Singular = "node",
            Kind = "Node",
            HasStatus = true,
            ShortNames = ["no"],
            SelectableFields = ["spec.unschedulable"],
            Columns = BuiltInColumns.Nodes,
        };

    public static ResourceType Pods { get; } =
        new()
        {
            Version = "v1",
            Plural = "pods",
            Singular = "pod",
            Kind = "Pod",
            Namespaced = true,
            HasStatus = true,
            ShortNames = ["po"],
            Categories = ["all"],
            SelectableFields =
            [
                "spec.nodeName",
                "spec.restartPolicy",
                "spec.schedulerName",
                "spec.serviceAccountName",
                "spec.hostNetwork",
                "status.phase",
                "status.podIP",
                "status.nominatedNodeName",
            ],
            Columns = BuiltInColumns.Pods,
        };

    public static ResourceType Events { get; } =
        new()
        {
            Version = "v1",
            Plural = "events",
            Singular = "event",
            Kind = "Event",
            Namespaced = true,
            ShortNames = ["ev"],
            SelectableFields = EventFields,
            Columns = BuiltInColumns.Events,
        };

    /// <summary>The same events in the group events.k8s.io.</summary>
    public static ResourceType NewEvents { get; } =
        Events with
        {
            Group = "events.k8s.io",
            Storage = Events.Storage,
            Conversion = EventConversion.Instance,
            SelectableFields =
            [
                "regarding.kind",
                "regarding.namespace",
                "regarding.name",
                "regarding.uid",
                "reason",
                "reportingController",
                "type",
            ],
        };

    public static ResourceType Definitions { get; } =
        new()
        {
            Group = "apiextensions.k8s.io",
            Version = "v1",
            Plural = "customresourcedefinitions",
            Singular = "customresourcedefinition",
            Kind = "CustomResourceDefinition",
            HasStatus = true,
            ShortNames = ["crd", "crds"],
            Categories = ["api-extensions"],
            Columns = BuiltInColumns.Definitions,
        };

    public static ResourceType Leases { get; } =
        new()
        {
            Group = "coordination.k8s.io",
            Version = "v1",
            Plural = "leases",
            Singular = "lease",
            Kind = "Lease",
            Namespaced = true,
            Columns = BuiltInColumns.Leases,
        };

    public static ResourceType DaemonSets { get; } =
        new()
        {
            Group = "apps",
            Version = "v1",
            Plural = "daemonsets",
            Singular = "daemonset",
            Kind = "DaemonSet",
            Namespaced = true,
            HasStatus = true,
            ShortNames = ["ds"],
            Categories = ["all"],
        };

    public static IReadOnlyList<ResourceType> All { get; } =
    [
        Namespaces,
        Nodes,
        Pods,
        Events,
        new()
        {
            Version = "v1",
            Plural = "configmaps",
            Singular = "configmap",
            Kind = "ConfigMap",
            Namespaced = true,
            ShortNames = ["cm"],
            Columns = BuiltInColumns.ConfigMaps,
        },
        new()
        {
            Version = "v1",
            Plural = "serviceaccounts",
            Singular = "serviceaccount",
            Kind = "ServiceAccount",
            Namespaced = true,
            ShortNames = ["sa"],
        },
        new()
        {
            Version = "v1",
            Plural = "services",
            Singular = "service",
            Kind = "Service",
            Namespaced = true,
            HasStatus = true,
            ShortNames = ["svc"],
            Categories = ["all"],
        },
        NewEvents,
        Definitions,
        Leases,
        DaemonSets,
        new()
        {
            Group = "rbac.authorization.k8s.io",
            Version = "v1",
            Plural = "clusterroles",
            Singular = "clusterrole",
            Kind = "ClusterRole",
        },
        new()
        {
            Group = "rbac.authorization.k8s.io",
            Version = "v1",
            Plural = "clusterrolebindings",
            Singular = "clusterrolebinding",
            Kind = "ClusterRoleBinding",
        },
        new()
        {
            Group = "rbac.authorization.k8s.io",
            Version = "v1",
            Plural = "roles",
            Singular = "role",
            Kind = "Role",
            Namespaced = true,
        },
        new()
        {
            Group = "rbac.authorization.k8s.io",
            Version = "v1",
            Plural = "rolebindings",
            Singular = "rolebinding",
            Kind = "RoleBinding",
            Namespaced = true,
        },
    ];
}
