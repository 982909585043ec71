// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Lab.KubeApi;

/// <summary>
/// The messages that <see cref="ProtobufBody"/> reads, with the field numbers of generated.proto in k8s.io/api and k8s.io/apimachinery:
/// those that kubectl sends as protobuf, and pods, which Go clients can send as protobuf. In-tree volumes of clouds and storage systems
/// that CSI drivers have replaced are left out.
/// </summary>
internal static class ProtobufMessages
{
    public static ProtobufSchema Schema { get; } =
        new(
            """
            DeleteOptions: 1 gracePeriodSeconds int, 2 preconditions Preconditions, 3 orphanDependents bool, 4 propagationPolicy, 5 dryRun []
            Preconditions: 1 uid, 2 resourceVersion
            ObjectMeta: 1 name, 2 generateName, 3 namespace, 5 uid, 6 resourceVersion, 7 generation int0, 8 creationTimestamp time,
                9 deletionTimestamp time, 10 deletionGracePeriodSeconds int, 11 labels map, 12 annotations map,
                13 ownerReferences OwnerReference[], 14 finalizers [], 17 managedFields ManagedFieldsEntry[]
            OwnerReference: 1 kind, 3 name, 4 uid, 5 apiVersion, 6 controller bool, 7 blockOwnerDeletion bool
            ManagedFieldsEntry: 1 manager, 2 operation, 3 apiVersion, 4 time time, 6 fieldsType, 7 fieldsV1 json, 8 subresource
            Namespace: 1 metadata ObjectMeta, 2 spec NamespaceSpec, 3 status NamespaceStatus
            NamespaceSpec: 1 finalizers []
            NamespaceStatus: 1 phase
            ConfigMap: 1 metadata ObjectMeta, 2 data map, 4 immutable bool
            ServiceAccount: 1 metadata ObjectMeta

            Pod: 1 metadata ObjectMeta, 2 spec PodSpec, 3 status PodStatus
            PodSpec: 1 volumes Volume[], 2 containers Container[], 3 restartPolicy, 4 terminationGracePeriodSeconds int,
                5 activeDeadlineSeconds int, 6 dnsPolicy, 7 nodeSelector map, 8 serviceAccountName, 9 serviceAccount, 10 nodeName,
                11 hostNetwork bool0, 12 hostPID bool0, 13 hostIPC bool0, 14 securityContext PodSecurityContext,
                15 imagePullSecrets LocalObjectReference[], 16 hostname, 17 subdomain, 18 affinity Affinity, 19 schedulerName,
                20 initContainers Container[], 21 automountServiceAccountToken bool, 22 tolerations Toleration[], 23 hostAliases HostAlias[],
                24 priorityClassName, 25 priority int, 26 dnsConfig PodDNSConfig, 27 shareProcessNamespace bool,
                28 readinessGates PodReadinessGate[], 29 runtimeClassName, 30 enableServiceLinks bool, 31 preemptionPolicy,
                32 overhead quantities, 33 topologySpreadConstraints TopologySpreadConstraint[], 34 ephemeralContainers EphemeralContainer[],
                35 setHostnameAsFQDN bool, 36 os PodOS, 37 hostUsers bool, 38 schedulingGates PodSchedulingGate[]
            PodOS: 1 name
            PodSchedulingGate: 1 name
            PodReadinessGate: 1 conditionType
            PodStatus: 1 phase, 2 conditions PodCondition[], 3 message, 4 reason, 5 hostIP, 6 podIP, 7 startTime time,
                8 containerStatuses ContainerStatus[], 9 qosClass, 10 initContainerStatuses ContainerStatus[], 11 nominatedNodeName,
                12 podIPs PodIP[], 13 ephemeralContainerStatuses ContainerStatus[], 16 hostIPs PodIP[], 17 observedGeneration int0
            PodCondition: 1 type, 2 status, 3 lastProbeTime time, 4 lastTransitionTime time, 5 reason, 6 message, 7 observedGeneration int0
            PodIP: 1 ip
            ContainerStatus: 1 name, 2 state ContainerState, 3 lastState ContainerState, 4 ready bool, 5 restartCount int, 6 image,
                7 imageID, 8 containerID, 9 started bool, 10 allocatedResources quantities, 11 resources ResourceRequirements,
                12 volumeMounts VolumeMountStatus[], 13 user ContainerUser
            ContainerState: 1 waiting ContainerStateWaiting, 2 running ContainerStateRunning, 3 terminated ContainerStateTerminated
            ContainerStateWaiting: 1 reason, 2 message
            ContainerStateRunning: 1 startedAt time
            ContainerStateTerminated: 1 exitCode int, 2 signal int0, 3 reason, 4 message, 5 startedAt time, 6 finishedAt time, 7 containerID
            VolumeMountStatus: 1 name, 2 mountPath, 3 readOnly bool0, 4 recursiveReadOnly
            ContainerUser: 1 linux LinuxContainerUser
            LinuxContainerUser: 1 uid int, 2 gid int, 3 supplementalGroups int[]
            Container: 1 name, 2 image, 3 command [], 4 args [], 5 workingDir, 6 ports ContainerPort[], 7 env EnvVar[],
                8 resources ResourceRequirements, 9 volumeMounts VolumeMount[], 10 livenessProbe Probe, 11 readinessProbe Probe,
                12 lifecycle Lifecycle, 13 terminationMessagePath, 14 imagePullPolicy, 15 securityContext SecurityContext, 16 stdin bool0,
                17 stdinOnce bool0, 18 tty bool0, 19 envFrom EnvFromSource[], 20 terminationMessagePolicy, 21 volumeDevices VolumeDevice[],
                22 startupProbe Probe, 23 resizePolicy ContainerResizePolicy[], 24 restartPolicy
            EphemeralContainer: 1 common *Container, 2 targetContainerName
            ContainerResizePolicy: 1 resourceName, 2 restartPolicy
            ContainerPort: 1 name, 2 hostPort int0, 3 containerPort int, 4 protocol, 5 hostIP
            EnvVar: 1 name, 2 value, 3 valueFrom EnvVarSource
            EnvVarSource: 1 fieldRef ObjectFieldSelector, 2 resourceFieldRef ResourceFieldSelector, 3 configMapKeyRef KeySelector,
                4 secretKeyRef KeySelector
            EnvFromSource: 1 prefix, 2 configMapRef NamedSource, 3 secretRef NamedSource
            ObjectFieldSelector: 1 apiVersion, 2 fieldPath
            ResourceFieldSelector: 1 containerName, 2 resource, 3 divisor quantity
            KeySelector: 1 reference *LocalObjectReference, 2 key, 3 optional bool
            NamedSource: 1 reference *LocalObjectReference, 2 optional bool
            LocalObjectReference: 1 name
            ResourceRequirements: 1 limits quantities, 2 requests quantities, 3 claims ResourceClaim[]
            ResourceClaim: 1 name, 2 request
            VolumeMount: 1 name, 2 readOnly bool0, 3 mountPath, 4 subPath, 5 mountPropagation, 6 subPathExpr, 7 recursiveReadOnly
            VolumeDevice: 1 name, 2 devicePath
            Probe: 1 handler *Handler, 2 initialDelaySeconds int0, 3 timeoutSeconds int0, 4 periodSeconds int0, 5 successThreshold int0,
                6 failureThreshold int0, 7 terminationGracePeriodSeconds int
            Handler: 1 exec ExecAction, 2 httpGet HTTPGetAction, 3 tcpSocket TCPSocketAction, 4 grpc GRPCAction
            Lifecycle: 1 postStart LifecycleHandler, 2 preStop LifecycleHandler, 3 stopSignal
            LifecycleHandler: 1 exec ExecAction, 2 httpGet HTTPGetAction, 3 tcpSocket TCPSocketAction, 4 sleep SleepAction
            ExecAction: 1 command []
            HTTPGetAction: 1 path, 2 port port, 3 host, 4 scheme, 5 httpHeaders NameAndValue[]
            NameAndValue: 1 name, 2 value
            TCPSocketAction: 1 port port, 2 host
            GRPCAction: 1 port int, 2 service
            SleepAction: 1 seconds int
            SecurityContext: 1 capabilities Capabilities, 2 privileged bool, 3 seLinuxOptions SELinuxOptions, 4 runAsUser int,
                5 runAsNonRoot bool, 6 readOnlyRootFilesystem bool, 7 allowPrivilegeEscalation bool, 8 runAsGroup int, 9 procMount,
                10 windowsOptions WindowsSecurityContextOptions, 11 seccompProfile TypedProfile, 12 appArmorProfile TypedProfile
            PodSecurityContext: 1 seLinuxOptions SELinuxOptions, 2 runAsUser int, 3 runAsNonRoot bool, 4 supplementalGroups int[],
                5 fsGroup int, 6 runAsGroup int, 7 sysctls NameAndValue[], 8 windowsOptions WindowsSecurityContextOptions,
                9 fsGroupChangePolicy, 10 seccompProfile TypedProfile, 11 appArmorProfile TypedProfile, 12 supplementalGroupsPolicy,
                13 seLinuxChangePolicy
            Capabilities: 1 add [], 2 drop []
            SELinuxOptions: 1 user, 2 role, 3 type, 4 level
            TypedProfile: 1 type, 2 localhostProfile
            WindowsSecurityContextOptions: 1 gmsaCredentialSpecName, 2 gmsaCredentialSpec, 3 runAsUserName, 4 hostProcess bool
            Toleration: 1 key, 2 operator, 3 value, 4 effect, 5 tolerationSeconds int
            HostAlias: 1 ip, 2 hostnames []
            PodDNSConfig: 1 nameservers [], 2 searches [], 3 options NameAndValue[]
            TopologySpreadConstraint: 1 maxSkew int, 2 topologyKey, 3 whenUnsatisfiable, 4 labelSelector LabelSelector, 5 minDomains int,
                6 nodeAffinityPolicy, 7 nodeTaintsPolicy, 8 matchLabelKeys []
            LabelSelector: 1 matchLabels map, 2 matchExpressions Requirement[]
            Requirement: 1 key, 2 operator, 3 values []
            Affinity: 1 nodeAffinity NodeAffinity, 2 podAffinity PodAffinity, 3 podAntiAffinity PodAffinity
            NodeAffinity: 1 requiredDuringSchedulingIgnoredDuringExecution NodeSelector,
                2 preferredDuringSchedulingIgnoredDuringExecution PreferredSchedulingTerm[]
            NodeSelector: 1 nodeSelectorTerms NodeSelectorTerm[]
            NodeSelectorTerm: 1 matchExpressions Requirement[], 2 matchFields Requirement[]
            PreferredSchedulingTerm: 1 weight int, 2 preference NodeSelectorTerm
            PodAffinity: 1 requiredDuringSchedulingIgnoredDuringExecution PodAffinityTerm[],
                2 preferredDuringSchedulingIgnoredDuringExecution WeightedPodAffinityTerm[]
            WeightedPodAffinityTerm: 1 weight int, 2 podAffinityTerm PodAffinityTerm
            PodAffinityTerm: 1 labelSelector LabelSelector, 2 namespaces [], 3 topologyKey, 4 namespaceSelector LabelSelector,
                5 matchLabelKeys [], 6 mismatchLabelKeys []
            Volume: 1 name, 2 source *VolumeSource
            VolumeSource: 1 hostPath HostPathVolumeSource, 2 emptyDir EmptyDirVolumeSource, 6 secret SecretVolumeSource,
                7 nfs NFSVolumeSource, 10 persistentVolumeClaim PersistentVolumeClaimVolumeSource, 16 downwardAPI DownwardAPIVolumeSource,
                19 configMap ConfigMapVolumeSource, 26 projected ProjectedVolumeSource, 28 csi CSIVolumeSource
            HostPathVolumeSource: 1 path, 2 type
            EmptyDirVolumeSource: 1 medium, 2 sizeLimit quantity
            SecretVolumeSource: 1 secretName, 2 items KeyToPath[], 3 defaultMode int, 4 optional bool
            ConfigMapVolumeSource: 1 reference *LocalObjectReference, 2 items KeyToPath[], 3 defaultMode int, 4 optional bool
            KeyToPath: 1 key, 2 path, 3 mode int
            NFSVolumeSource: 1 server, 2 path, 3 readOnly bool0
            PersistentVolumeClaimVolumeSource: 1 claimName, 2 readOnly bool0
            DownwardAPIVolumeSource: 1 items DownwardAPIVolumeFile[], 2 defaultMode int
            DownwardAPIVolumeFile: 1 path, 2 fieldRef ObjectFieldSelector, 3 resourceFieldRef ResourceFieldSelector, 4 mode int
            ProjectedVolumeSource: 1 sources VolumeProjection[], 2 defaultMode int
            VolumeProjection: 1 secret KeyProjection, 2 downwardAPI DownwardAPIProjection, 3 configMap KeyProjection,
                4 serviceAccountToken ServiceAccountTokenProjection
            KeyProjection: 1 reference *LocalObjectReference, 2 items KeyToPath[], 4 optional bool
            DownwardAPIProjection: 1 items DownwardAPIVolumeFile[]
            ServiceAccountTokenProjection: 1 audience, 2 expirationSeconds int, 3 path
            CSIVolumeSource: 1 driver, 2 readOnly bool, 3 fsType, 4 volumeAttributes map, 5 nodePublishSecretRef LocalObjectReference
            """
        );

    /// <summary>Kinds that a body may contain.</summary>
    public static readonly string[] Kinds = ["DeleteOptions", "Namespace", "ConfigMap", "ServiceAccount", "Pod"];
}
