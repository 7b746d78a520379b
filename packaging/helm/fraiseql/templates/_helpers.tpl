{{- define "fraiseql.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name }}{{ else }}{{ .Release.Name }}-{{ .Chart.Name }}{{ end -}}
{{- end }}

{{- define "fraiseql.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "fraiseql.labels" -}}
{{ include "fraiseql.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "fraiseql.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "fraiseql.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "fraiseql.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{- define "fraiseql.mounts" -}}
- name: run
  mountPath: /run/fraiseql
{{- if .Values.project.configMap }}
- name: project
  mountPath: {{ .Values.project.path }}
  readOnly: true
{{- end }}
{{- end }}

{{- define "fraiseql.volumes" -}}
- name: run
  emptyDir:
    medium: Memory
    sizeLimit: 16Mi
{{- if .Values.project.configMap }}
- name: project
  configMap:
    name: {{ .Values.project.configMap }}
{{- end }}
{{- end }}
