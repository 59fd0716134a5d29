{{/* The chart's name, as it stands in labels. */}}
{{- define "ferrolb.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* The common part of the names of objects. 63 characters are the limit for labels made from it. */}}
{{- define "ferrolb.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- $name := default .Chart.Name .Values.nameOverride }}
{{- if contains $name .Release.Name }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}
{{- end }}

{{/* Labels that select pods. They can never change: a workload's selector is immutable. */}}
{{- define "ferrolb.selectorLabels" -}}
app.kubernetes.io/name: {{ include "ferrolb.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* Labels of every object. */}}
{{- define "ferrolb.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "ferrolb.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{/* The service account of the controller. */}}
{{- define "ferrolb.controller.serviceAccountName" -}}
{{- with .Values.controller.serviceAccount }}
{{- .name | default (ternary (printf "%s-controller" (include "ferrolb.fullname" $)) "default" .create) }}
{{- end }}
{{- end }}

{{/* The service account of the speakers. */}}
{{- define "ferrolb.speaker.serviceAccountName" -}}
{{- with .Values.speaker.serviceAccount }}
{{- .name | default (ternary (printf "%s-speaker" (include "ferrolb.fullname" $)) "default" .create) }}
{{- end }}
{{- end }}

{{/* The Secret that holds the speakers' common key. */}}
{{- define "ferrolb.secretName" -}}
{{- .Values.speaker.secretName | default (printf "%s-memberlist" (include "ferrolb.fullname" .)) }}
{{- end }}

{{/* An image with its tag. Takes a dict: the `program`, the `image` of its values, the chart's `version`. The
     repository that MetalLB's values name means ours, and MetalLB's tag then means nothing. */}}
{{- define "ferrolb.image" -}}
{{- if eq .image.repository (printf "quay.io/metallb/%s" .program) }}
{{- printf "ferrolb/%s:%s" .program .version | quote }}
{{- else }}
{{- printf "%s:%s" .image.repository (.image.tag | default .version) | quote }}
{{- end }}
{{- end }}

{{/* "true" if controllers check new objects. */}}
{{- define "ferrolb.webhooks" -}}
{{- and .Values.controller.enabled (ne .Values.controller.webhookMode "disabled") }}
{{- end }}

{{/* The timing of a probe. Takes the probe's values. */}}
{{- define "ferrolb.probeTiming" -}}
{{- range $field := list "initialDelaySeconds" "periodSeconds" "timeoutSeconds" "successThreshold" "failureThreshold" }}
{{- if hasKey $ $field }}
{{ $field }}: {{ index $ $field | int }}
{{- end }}
{{- end }}
{{- end }}

{{/* The annotations by which a Prometheus finds a pod. */}}
{{- define "ferrolb.scrapeAnnotations" -}}
{{- if and .Values.prometheus.scrapeAnnotations (gt (int .Values.prometheus.metricsPort) 0) }}
prometheus.io/scrape: "true"
prometheus.io/scheme: https
prometheus.io/port: {{ .Values.prometheus.metricsPort | int | quote }}
{{- end }}
{{- end }}

{{/* How Prometheus reads metrics, for a monitor's endpoint. Takes a dict: `root`, the values of the `monitor`,
     and its `tlsConfig`. */}}
{{- define "ferrolb.scrape" -}}
scheme: https
honorLabels: true
authorization:
  credentials:
    name: {{ include "ferrolb.fullname" .root }}-metrics-token
    key: token
{{- with .tlsConfig }}
tlsConfig:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .monitor.interval }}
interval: {{ . }}
{{- end }}
{{- with .monitor.metricRelabelings }}
metricRelabelings:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .monitor.relabelings }}
relabelings:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Flags for TLS. Takes a dict: `tls` of the values, and the `secret` for metrics. */}}
{{- define "ferrolb.tlsArgs" -}}
{{- with .tls.minVersion }}
- {{ printf "--tls-min-version=%s" . | quote }}
{{- end }}
{{- with .tls.cipherSuites }}
- {{ printf "--tls-cipher-suites=%s" . | quote }}
{{- end }}
{{- with .tls.curvePreferences }}
- {{ printf "--tls-curve-preferences=%v" . | quote }}
{{- end }}
{{- if .secret }}
- --metrics-cert-dir=/etc/metrics-cert
{{- end }}
{{- end }}

{{/* What a pod knows about itself; the same for both programs. */}}
{{- define "ferrolb.podEnv" -}}
- name: METALLB_NAMESPACE
  valueFrom:
    fieldRef:
      fieldPath: metadata.namespace
- name: METALLB_POD_NAME
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
# The owner of the status objects that the pod writes, so that they go when it goes.
- name: METALLB_POD_UID
  valueFrom:
    fieldRef:
      fieldPath: metadata.uid
{{- end }}
