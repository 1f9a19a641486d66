{{/* Labels of everything that the chart makes. */}}
{{- define "oci-connector.labels" -}}
app.kubernetes.io/name: oci-connector
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "oci-connector.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{/* How rewritten images name the agent. On the loopback it has to be where the agent listens. */}}
{{- define "oci-connector.imageHost" -}}
{{- $own := printf "localhost:%d" (int .Values.node.port) -}}
{{- $host := .Values.imageHost | default $own -}}
{{- if and (regexMatch "^(localhost|127[.]|\\[::1\\])" $host) (not (hasSuffix (printf ":%d" (int .Values.node.port)) $host)) -}}
{{- fail (printf "imageHost is %s, but the agents listen on port %d (node.port)" $host (int .Values.node.port)) -}}
{{- end -}}
{{ $host }}
{{- end }}

{{/* The agent needs no right at all, the controller none on its node; which user each is, its pod says. */}}
{{- define "oci-connector.containerSecurity" -}}
allowPrivilegeEscalation: false
capabilities: { drop: [ALL] }
readOnlyRootFilesystem: true
runAsNonRoot: true
{{- end }}

{{/* Host of webhook.url, without brackets and port: a name that the certificate has to bear. */}}
{{- define "oci-connector.webhookName" -}}
{{- regexReplaceAll "^https://(\\[?)([^\\]/]+?)(\\]?)(:[0-9]+)?/mutate$" .Values.webhook.url "${2}" -}}
{{- end }}

{{/* Keeps agents from nodes that are to have none. */}}
{{- define "oci-connector.agentAffinity" -}}
{{- with .Values.agentless -}}
affinity:
  nodeAffinity:
    requiredDuringSchedulingIgnoredDuringExecution:
      nodeSelectorTerms:
        - matchExpressions:
            {{- range $key, $value := . }}
            - { key: {{ $key | quote }}, operator: NotIn, values: [{{ $value | quote }}] }
            {{- end }}
{{- end -}}
{{- end }}
