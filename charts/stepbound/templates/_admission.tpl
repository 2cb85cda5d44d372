{{- /* Where the operator of this release works: several releases may each watch namespaces of their own. */}}
{{- define "stepbound.admissionScope" -}}
{{- if .Values.operator.watchNamespaces -}}
namespaceSelector:
  matchExpressions:
    - {key: kubernetes.io/metadata.name, operator: In, values: {{ toJson .Values.operator.watchNamespaces }}}
{{- else -}}
namespaceSelector: {}
{{- end }}
{{- end }}
{{- /* The user name of the operator's own account. */}}
{{- define "stepbound.operatorUser" -}}
system:serviceaccount:{{ .Release.Namespace }}:{{ include "stepbound.account" . }}
{{- end }}
{{- /* Whom a refusal names in its commands, between double quotes of YAML: as it is where a shell reads it so, else in its quotes; a name that is long or no plain text is left for the reader to fill in. */}}
{{- define "stepbound.grantee" -}}
request.userInfo.username.size() > 256 ? 'USER' : request.userInfo.username.matches('^[A-Za-z0-9@._:/+-]+$') ? request.userInfo.username : request.userInfo.username.matches('^[ -$&-~]+$') ? '\\'' + request.userInfo.username.replace('\\'', '\\'\\\\\\'\\'') + '\\'' : 'USER'
{{- end }}
{{- /* Labels without which nothing is minted in a namespace, as CEL writes a map. Namespaces that are granted by name need none. */}}
{{- define "stepbound.tokenLabels" -}}
{{- if eq .Values.tokens.mode "ClusterWide" }}{{ toJson (.Values.tokens.namespaceLabels | default dict) }}{{ else }}{}{{ end }}
{{- end }}
{{- /* The words in capitals of a policy's file, filled in; values as JSON, which CEL reads too. */}}
{{- define "stepbound.policySpec" -}}
{{- $root := .root }}
{{- $spec := .spec | replace "SCOPE" (include "stepbound.admissionScope" $root | indent 2 | trim) | replace "OPERATOR_USER" (include "stepbound.operatorUser" $root) }}
{{- $spec = $spec | replace "OPERATOR_NAMESPACE" $root.Release.Namespace | replace "GRANTEE" (include "stepbound.grantee" $root) }}
{{- $spec = $spec | replace "TOKEN_NAMESPACES" (toJson $root.Values.operator.watchNamespaces) | replace "TOKEN_LABELS" (include "stepbound.tokenLabels" $root) }}
{{- $spec | replace "TOKEN_AUDIENCES" (concat $root.Values.operator.allowedAudiences $root.Values.operator.allowedIssuers | toJson) | replace "CLUSTER_ID" (toJson $root.Values.operator.clusterID) | replace "NAME_PREFIX" (toJson $root.Values.operator.namePrefix) }}
{{- end }}
{{- /* True where the server takes mutating policies: by default from Kubernetes 1.36 on. */}}
{{- define "stepbound.mutates" -}}
{{- if and .Values.admission.enabled (.Capabilities.APIVersions.Has "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy") }}true{{ end }}
{{- end }}
{{- /* A validating policy and its binding: name, and spec without failurePolicy and scope. */}}
{{- define "stepbound.validatingPolicy" -}}
{{- $name := printf "%s-%s" (include "stepbound.clusterName" .root) .name -}}
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata:
  name: {{ $name }}
  labels: {{- include "stepbound.selector" .root | nindent 4 }}
    app.kubernetes.io/managed-by: {{ .root.Release.Service }}
spec:
  {{- /* The operator asks the Guardrails too, so admission may be left out for the half minute in which the server does not know the kind yet. */}}
  failurePolicy: {{ ternary "Ignore" "Fail" (hasKey . "guardrails") }}
  {{- include "stepbound.policySpec" . | nindent 2 }}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata:
  name: {{ $name }}
  labels: {{- include "stepbound.selector" .root | nindent 4 }}
    app.kubernetes.io/managed-by: {{ .root.Release.Service }}
spec:
  policyName: {{ $name }}
  validationActions: [Deny]
  {{- if .guardrails }}
  # Every Guardrail; where there is none, nothing is asked.
  paramRef: {selector: {}, parameterNotFoundAction: Allow}
  {{- end }}
{{- end }}
