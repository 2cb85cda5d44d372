{{- define "stepbound.fullname" -}}
{{- if contains "stepbound" .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-stepbound" .Release.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}
{{- /* Cluster-scoped names carry the namespace, so that several installs do not meet. */}}
{{- define "stepbound.clusterName" -}}
{{ printf "%s-%s" .Release.Namespace (include "stepbound.fullname" .) }}
{{- end }}
{{- define "stepbound.account" -}}
{{ .Values.serviceAccount.name | default (include "stepbound.fullname" .) }}
{{- end }}
{{- define "stepbound.image" -}}
{{- if .Values.image.digest }}{{ .Values.image.repository }}@{{ .Values.image.digest }}{{ else }}{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}
{{- define "stepbound.labels" -}}
app.kubernetes.io/name: stepbound
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}
{{- define "stepbound.selector" -}}
app.kubernetes.io/name: stepbound
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}
{{- /* The Leases of the replicas, as the operator names them. */}}
{{- define "stepbound.leases" -}}
{{- $names := list "stepbound" }}
{{- $shards := int .Values.operator.shards }}
{{- if gt $shards 1 }}{{ range $index := until $shards }}{{ $names = append $names (printf "stepbound-%d-%d" $shards $index) }}{{ end }}{{ end }}
{{- toJson $names }}
{{- end }}
{{- define "stepbound.subject" -}}
- kind: ServiceAccount
  name: {{ include "stepbound.account" . }}
  namespace: {{ .Release.Namespace }}
{{- end }}
{{- /* Our namespaced kinds that people write. Pages of histories are not among them: each role says what it may with those. */}}
{{- define "stepbound.kinds" -}}
- trustbindings
- workflows
- workflowruns
- workflowschedules
- activities
- identityproviders
- executionhistories
{{- end }}
{{- /* Kinds that the operator alone writes. */}}
{{- define "stepbound.pages" -}}
- executionhistorypages
- executiondatapages
{{- end }}
{{- /* Restricted, as the Pod Security Standards have it. */}}
{{- define "stepbound.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end }}
{{- define "stepbound.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}
