{{/* Names and labels of aws-vpc-cni's chart: selectors of a DaemonSet cannot change, and others go by them. */}}
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

{{/* A whole image reference. The argument is one map: image, chart, what (for messages). */}}
{{- define "vpc-cni.image" -}}
{{- $image := .image -}}
{{- $tag := default .chart.AppVersion $image.tag | toString -}}
{{- $reference := "" -}}
{{- if $image.override -}}
{{- $reference = $image.override -}}
{{- else if $image.overrideRepository -}}
{{- $reference = printf "%s:%s" $image.overrideRepository $tag -}}
{{- else if $image.account -}}
{{- if eq (toString $image.account) "602401143452" -}}
{{- fail (printf "%s.account is AWS's own registry, which has aws-node and not this image: set image.override to the image that you built (docs/install.md)" .what) -}}
{{- end -}}
{{- $reference = printf "%v.dkr.%s.%s.%s/vpc-cni:%s" $image.account $image.endpoint $image.region $image.domain $tag -}}
{{- else -}}
{{- fail "no image is named: set image.override to the image that you built (docs/install.md)" -}}
{{- end -}}
{{- if contains "amazon-k8s-cni" $reference -}}
{{- fail (printf "%s is %s, an image of aws-node: set image.override to the image that you built, and no init.image" .what $reference) -}}
{{- end -}}
{{- $reference -}}
{{- end -}}

{{/* A value of the map env as text: a whole number that YAML read as a float has no exponent. */}}
{{- define "vpc-cni.envText" -}}
{{- if and (kindIs "float64" .) (eq (floor .) .) -}}{{- int64 . -}}{{- else -}}{{- . -}}{{- end -}}
{{- end -}}

{{/* "true" when a variable of env is set to what the daemon reads as true, else nothing. The argument is a list: root, name. */}}
{{- define "vpc-cni.isOn" -}}
{{- $root := index . 0 -}}
{{- if has (toString (default "" (get (default dict $root.Values.env) (index . 1)))) (list "1" "t" "T" "true" "TRUE" "True") -}}true{{- end -}}
{{- end -}}

{{/* A container's security context. The API refuses allowPrivilegeEscalation: false beside privileged: true, which values of aws-vpc-cni have for its init container. */}}
{{- define "vpc-cni.securityContext" -}}
{{- $context := .context -}}
{{- if $context.privileged -}}{{- $context = omit $context "allowPrivilegeEscalation" -}}{{- end -}}
{{- if and .seccomp .seccomp.type (not (hasKey $context "seccompProfile")) (not (hasKey (default dict .pod) "seccompProfile")) (not $context.privileged) -}}
{{- $context = merge (dict "seccompProfile" .seccomp) $context -}}
{{- end -}}
{{- toYaml $context -}}
{{- end -}}

{{/* A probe. One of aws-vpc-cni's values that executes its own probe program, which this image lacks, becomes ours. */}}
{{- define "vpc-cni.probe" -}}
{{- $probe := deepCopy .probe -}}
{{- if not (hasKey $probe "timeoutSeconds") -}}{{- $_ := set $probe "timeoutSeconds" (int64 .timeout) -}}{{- end -}}
{{- if $probe.exec -}}
{{- $command := default list $probe.exec.command -}}
{{- if and $command (hasSuffix "grpc-health-probe" (toString (first $command))) -}}
{{- $_ := set $probe "exec" (dict "command" .ours) -}}
{{- end -}}
{{- end -}}
{{- toYaml $probe -}}
{{- end -}}

{{/* What must not be installed, in words. */}}
{{- define "vpc-cni.refuse" -}}
{{- if .Values.cniConfig.enabled -}}
{{- fail "cniConfig.enabled: the daemon writes the network configuration from its own settings; set env.POD_MTU, env.AWS_VPC_K8S_CNI_VETHPREFIX, env.ENABLE_BANDWIDTH_PLUGIN and so on instead" -}}
{{- end -}}
{{- if and (eq (toString .Values.enableNetworkPolicy) "true") (not .Values.nodeAgent.deployedSeparately) -}}
{{- fail "enableNetworkPolicy: this chart does not deploy the network policy agent, so NetworkPolicies would not be enforced; deploy the agent otherwise and set nodeAgent.deployedSeparately=true, or leave enableNetworkPolicy out" -}}
{{- end -}}
{{- if and .Values.podMonitor.create (include "vpc-cni.isOn" (list . "DISABLE_METRICS")) -}}
{{- fail "podMonitor.create with env.DISABLE_METRICS=true: there would be nothing to scrape" -}}
{{- end -}}
{{- end -}}
