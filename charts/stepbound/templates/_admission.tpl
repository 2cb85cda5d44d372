{{- /* Where the operator of this release works: several releases may each watch namespaces of their own. */}}
{{- define "stepbound.admissionScope" -}}
{{- with .Values.operator.watchNamespaces }}
namespaceSelector:
  matchExpressions:
    - {key: kubernetes.io/metadata.name, operator: In, values: {{ toJson . }}}
{{- end }}
{{- end }}
{{- /* The user name of the operator's own account. */}}
{{- define "stepbound.operatorUser" -}}
system:serviceaccount:{{ .Release.Namespace }}:{{ include "stepbound.account" . }}
{{- end }}
{{- /* True where the server takes mutating policies: by default from Kubernetes 1.36 on. */}}
{{- define "stepbound.mutates" -}}
{{- if and .Values.admission.enabled (.Capabilities.APIVersions.Has "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy") }}true{{ end }}
{{- end }}
