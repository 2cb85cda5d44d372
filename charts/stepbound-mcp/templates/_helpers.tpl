{{- define "mcp.fullname" -}}
{{- if contains "stepbound-mcp" .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-stepbound-mcp" .Release.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}
{{- /* Names outside of our namespace carry it, so that several installs do not meet. */}}
{{- define "mcp.clusterName" -}}
{{ printf "%s-%s" .Release.Namespace (include "mcp.fullname" .) }}
{{- end }}
{{- define "mcp.account" -}}
{{ .Values.serviceAccount.name | default (include "mcp.fullname" .) }}
{{- end }}
{{- define "mcp.image" -}}
{{- if .Values.image.digest }}{{ .Values.image.repository }}@{{ .Values.image.digest }}{{ else }}{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}
{{- define "mcp.url" -}}
{{- .Values.url | default (printf "%s://%s.%s.svc:8443/mcp" (ternary "http" "https" .Values.tls.insecureHTTP) (include "mcp.fullname" .) .Release.Namespace) }}
{{- end }}
{{- define "mcp.labels" -}}
app.kubernetes.io/name: stepbound-mcp
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}
{{- define "mcp.selector" -}}
app.kubernetes.io/name: stepbound-mcp
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}
{{- define "mcp.subject" -}}
- kind: ServiceAccount
  name: {{ include "mcp.account" . }}
  namespace: {{ .Release.Namespace }}
{{- end }}
