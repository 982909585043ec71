{{/* Names and labels of the chart aws-vpc-cni: the selector of a DaemonSet is immutable, and other objects refer to them. */}}
{{- define "vpc-cni.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "vpc-cni.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else if contains (include "vpc-cni.name" .) .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "vpc-cni.name" .) | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "vpc-cni.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "vpc-cni.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "vpc-cni.selectorLabels" -}}
app.kubernetes.io/name: {{ include "vpc-cni.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "vpc-cni.labels" -}}
{{ include "vpc-cni.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
k8s-app: aws-node
{{- end -}}

{{/* Reference of the image of all containers. */}}
{{- define "vpc-cni.image" -}}
{{- $image := .Values.image -}}
{{- $tag := default .Chart.AppVersion $image.tag | toString -}}
{{- $reference := "" -}}
{{- if $image.override -}}
{{- $reference = $image.override -}}
{{- else if $image.overrideRepository -}}
{{- $reference = printf "%s:%s" $image.overrideRepository $tag -}}
{{- else if $image.account -}}
{{- if eq (toString $image.account) "602401143452" -}}
{{- fail "image.account is AWS's own registry, which has aws-node and not this image: set image.override to the image that you built (docs/install.md)" -}}
{{- end -}}
{{- $reference = printf "%v.dkr.%s.%s.%s/vpc-cni:%s" $image.account $image.endpoint $image.region $image.domain $tag -}}
{{- else -}}
{{- fail "no image is set: set image.override to the image that you built (docs/install.md)" -}}
{{- end -}}
{{- if contains "amazon-k8s-cni" $reference -}}
{{- fail (printf "image is %s, an image of aws-node: set image.override to the image that you built (docs/install.md)" $reference) -}}
{{- end -}}
{{- $reference -}}
{{- end -}}

{{/* A value of the map env as text. An integer that YAML parsed as a float is formatted without an exponent. */}}
{{- define "vpc-cni.envText" -}}
{{- if and (kindIs "float64" .) (eq (floor .) .) -}}{{- int64 . -}}{{- else -}}{{- . -}}{{- end -}}
{{- end -}}

{{/* Value of a variable of the daemon as text; empty if it is not set or refers to a ConfigMap, Secret or field. extraEnv overrides env. Argument: a list of root and name. */}}
{{- define "vpc-cni.variable" -}}
{{- $root := index . 0 -}}
{{- $name := index . 1 -}}
{{- $values := default dict $root.Values.env -}}
{{- $value := get $values $name -}}
{{- range $root.Values.extraEnv -}}{{- if eq .name $name -}}{{- $value = default "" .value -}}{{- end -}}{{- end -}}
{{- $value -}}
{{- end -}}

{{/* Entry of a variable of the daemon in the env of a container, in a list; empty if it is not set. extraEnv overrides env. Argument: a list of root and name. */}}
{{- define "vpc-cni.variableEntry" -}}
{{- $root := index . 0 -}}
{{- $name := index . 1 -}}
{{- $values := default dict $root.Values.env -}}
{{- $entries := list -}}
{{- if hasKey $values $name -}}{{- $entries = list (dict "name" $name "value" (include "vpc-cni.envText" (get $values $name))) -}}{{- end -}}
{{- range $root.Values.extraEnv -}}{{- if eq .name $name -}}{{- $entries = list . -}}{{- end -}}{{- end -}}
{{- if $entries -}}{{- toYaml $entries -}}{{- end -}}
{{- end -}}

{{/* "true" if the daemon parses the value of a variable as true, else empty. Argument: a list of root and name. */}}
{{- define "vpc-cni.isOn" -}}
{{- if has (include "vpc-cni.variable" .) (list "1" "t" "T" "true" "TRUE" "True") -}}true{{- end -}}
{{- end -}}

{{/* As isOn, but also "true" if the value is unknown because it refers to a ConfigMap or Secret. */}}
{{- define "vpc-cni.mayBeOn" -}}
{{- $root := index . 0 -}}
{{- $name := index . 1 -}}
{{- $may := include "vpc-cni.isOn" . -}}
{{- range $root.Values.extraEnv -}}{{- if and (eq .name $name) .valueFrom -}}{{- $may = "true" -}}{{- end -}}{{- end -}}
{{- $may -}}
{{- end -}}

{{/* Not empty if a probe runs the probe program of aws-node, which this image lacks. Argument: the probe. */}}
{{- define "vpc-cni.isForeignProbe" -}}
{{- $command := default list (default dict (default dict .).exec).command -}}
{{- if and $command (hasSuffix "grpc-health-probe" (toString (first $command))) -}}true{{- end -}}
{{- end -}}

{{/* Security context of a container. The API rejects allowPrivilegeEscalation: false with privileged: true, which values of aws-vpc-cni set for the init container. */}}
{{- define "vpc-cni.securityContext" -}}
{{- $context := .context -}}
{{- if $context.privileged -}}{{- $context = omit $context "allowPrivilegeEscalation" -}}{{- end -}}
{{- if and .seccomp .seccomp.type (not (hasKey $context "seccompProfile")) (not (hasKey (default dict .pod) "seccompProfile")) (not $context.privileged) -}}
{{- $context = merge (dict "seccompProfile" .seccomp) $context -}}
{{- end -}}
{{- toYaml $context -}}
{{- end -}}

{{/* A probe. Replaces a probe that runs the probe program of aws-node, which this image lacks. */}}
{{- define "vpc-cni.probe" -}}
{{- $probe := deepCopy .probe -}}
{{- if not (hasKey $probe "timeoutSeconds") -}}{{- $_ := set $probe "timeoutSeconds" (int64 .timeout) -}}{{- end -}}
{{- if include "vpc-cni.isForeignProbe" $probe -}}
{{- $_ := set $probe "exec" (dict "command" .ours) -}}
{{- end -}}
{{- toYaml $probe -}}
{{- end -}}

{{/* Rejects values that must not be installed, with the reason. */}}
{{- define "vpc-cni.reject" -}}
{{- if .Values.cniConfig.enabled -}}
{{- fail "cniConfig.enabled: the daemon writes the network configuration from its own settings; set env.POD_MTU, env.AWS_VPC_K8S_CNI_VETHPREFIX, env.ENABLE_BANDWIDTH_PLUGIN and so on instead" -}}
{{- end -}}
{{- if and (eq (toString .Values.enableNetworkPolicy) "true") (not .Values.nodeAgent.deployedSeparately) -}}
{{- fail "enableNetworkPolicy: this chart does not deploy the network policy agent, so NetworkPolicies would not be enforced; deploy the agent separately and set nodeAgent.deployedSeparately=true, or omit enableNetworkPolicy" -}}
{{- end -}}
{{- if and .Values.podMonitor.create (include "vpc-cni.isOn" (list . "DISABLE_METRICS")) -}}
{{- fail "podMonitor.create with env.DISABLE_METRICS=true: there is nothing to scrape" -}}
{{- end -}}
{{- $seen := dict -}}
{{- range .Values.extraEnv -}}
{{- if hasKey $seen .name -}}{{- fail (printf "extraEnv names %s twice; expected each variable once" .name) -}}{{- end -}}
{{- $_ := set $seen .name true -}}
{{- end -}}
{{- range $name := list "ENABLE_POD_ENI" "ENABLE_MULTI_NIC" -}}
{{- if include "vpc-cni.isOn" (list $ $name) -}}
{{- fail (printf "env.%s=true: this version does not support this mode, and the daemon would not start; omit it (docs/limits.md)" $name) -}}
{{- end -}}
{{- end -}}
{{- if and (has (include "vpc-cni.variable" (list . "ENABLE_IPv4")) (list "0" "f" "F" "false" "FALSE" "False")) (not (include "vpc-cni.isOn" (list . "ENABLE_IPv6"))) -}}
{{- fail "env.ENABLE_IPv4=false without env.ENABLE_IPv6=true: pods need addresses of one family at least, and the daemon would not start (docs/ipv6.md)" -}}
{{- end -}}
{{- if eq (include "vpc-cni.variable" (list . "NETWORK_POLICY_ENFORCING_MODE")) "strict" -}}
{{- fail "env.NETWORK_POLICY_ENFORCING_MODE=strict: this version does not support this mode, and the daemon would not start; expected standard or none (docs/limits.md)" -}}
{{- end -}}
{{- end -}}

{{/* For NOTES: keys of the chart aws-vpc-cni that are set and have no effect, one line per reason. */}}
{{- define "vpc-cni.withoutEffect" -}}
{{- $lines := list -}}
{{- $keys := include "vpc-cni.keys" (dict "path" "init.image" "map" (omit (default dict .Values.init.image) "pullPolicy")) -}}
{{- if $keys -}}{{- $lines = append $lines (printf "%s: one image serves both containers, and image names it." $keys) -}}{{- end -}}
{{- if .Values.image.override -}}
{{- $keys = include "vpc-cni.keys" (dict "path" "image" "map" (pick .Values.image "overrideRepository" "account" "tag")) -}}
{{- if $keys -}}{{- $lines = append $lines (printf "%s: image.override is the whole reference." $keys) -}}{{- end -}}
{{- end -}}
{{- if include "vpc-cni.keys" (dict "path" "nodeAgent" "map" (omit .Values.nodeAgent "deployedSeparately")) -}}
{{- $lines = append $lines "nodeAgent.*: the network policy agent is not deployed." -}}
{{- end -}}
{{- if include "vpc-cni.variable" (list . "VPC_CNI_VERSION") -}}
{{- $lines = append $lines "env.VPC_CNI_VERSION: the daemon reports its own version." -}}
{{- end -}}
{{- range $probe := list "livenessProbe" "readinessProbe" -}}
{{- if include "vpc-cni.isForeignProbe" (get $.Values $probe) -}}
{{- $lines = append $lines (printf "%s.exec.command: aws-node's probe program is not in the image; ipamd health takes its place." $probe) -}}
{{- end -}}
{{- end -}}
{{- if .Values.cniConfig.fileContents -}}
{{- $lines = append $lines "cniConfig.fileContents: the daemon writes the network configuration from its own settings." -}}
{{- end -}}
{{- if .Values.cri.hostPath -}}{{- $lines = append $lines "cri.hostPath: the container runtime is never asked." -}}{{- end -}}
{{- if not .Values.crd.create -}}
{{- $lines = append $lines "crd.create=false: Helm installs crds/ where it is missing and never changes it; --skip-crds leaves it out." -}}
{{- end -}}
{{- range $index, $line := $lines }}{{ if $index }}{{ "\n" }}{{ end }}  * {{ $line }}{{ end -}}
{{- end -}}

{{/* Paths of the keys of a map that are set, separated by commas. Argument: a map of path and map. */}}
{{- define "vpc-cni.keys" -}}
{{- $path := .path -}}
{{- $paths := list -}}
{{- range $key, $value := .map -}}
{{- if $value -}}{{- $paths = append $paths (printf "%s.%s%s" $path $key (ternary ".*" "" (kindIs "map" $value))) -}}{{- end -}}
{{- end -}}
{{- join ", " $paths -}}
{{- end -}}

{{/* For NOTES: location of the daemon's log if `kubectl logs` does not show it, else empty. */}}
{{- define "vpc-cni.logFile" -}}
{{- $file := include "vpc-cni.variable" (list . "AWS_VPC_K8S_CNI_LOG_FILE") -}}
{{- if and $file (not (has $file (list "stdout" "stderr" "/dev/stdout" "/dev/stderr"))) -}}
{{- if hasPrefix "/host/var/log/aws-routed-eni/" $file -}}
The daemon logs to {{ trimPrefix "/host" $file }} on each node. `kubectl logs` shows its log when env.AWS_VPC_K8S_CNI_LOG_FILE is stdout, the default.
{{- else -}}
{{- $mounted := false -}}
{{- range .Values.extraVolumeMounts -}}{{- if hasPrefix (printf "%s/" (trimSuffix "/" .mountPath)) $file -}}{{- $mounted = true -}}{{- end -}}{{- end -}}
{{- if not $mounted -}}
NOT WRITABLE: env.AWS_VPC_K8S_CNI_LOG_FILE={{ $file }} is in no folder that is mounted, so lines go to the container's output. Expected stdout, or a file in /host/var/log/aws-routed-eni.
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
