{{/*
Finds settings that the schema does not know. Every object whose schema lists `properties` is closed,
unless it says something about `additionalProperties`.

Takes a dict: `definitions` of the schema; `schema` and `values` of one place in it, and the `path` to
it; `found`, whose `mistakes` grow: the `wrong` setting, its `name`, and the `right` one or "".
*/}}
{{- define "ferrolb.unknown" -}}
{{- $schema := include "ferrolb.schema" . | fromJson }}
{{- if and (kindIs "slice" .values) (hasKey $schema "items") }}
{{- range $index, $value := .values }}
{{- include "ferrolb.unknown" (dict "definitions" $.definitions "schema" $schema.items "values" $value "path" (printf "%s[%d]" $.path $index) "found" $.found) }}
{{- end }}
{{- else if and (kindIs "map" .values) (hasKey $schema "properties") }}
{{- range $key, $value := .values }}
{{- $path := eq $.path "" | ternary $key (printf "%s.%s" $.path $key) }}
{{- if hasKey $schema.properties $key }}
{{- include "ferrolb.unknown" (dict "definitions" $.definitions "schema" (index $schema.properties $key) "values" $value "path" $path "found" $.found) }}
{{- else if not (hasKey $schema "additionalProperties") }}
{{- $near := include "ferrolb.nearest" (dict "name" $key "names" (keys $schema.properties)) }}
{{- $right := eq $near "" | ternary "" (eq $.path "" | ternary $near (printf "%s.%s" $.path $near)) }}
{{- $_ := set $.found "mistakes" (append $.found.mistakes (dict "wrong" $path "name" $key "right" $right)) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* A place's schema as JSON, the definition it refers to included. */}}
{{- define "ferrolb.schema" -}}
{{- $refers := index .schema "$ref" }}
{{- if $refers }}
{{- index .definitions (trimPrefix "#/definitions/" $refers) | toJson }}
{{- else }}
{{- .schema | toJson }}
{{- end }}
{{- end }}

{{/*
Of `names` the one most like `name`, or nothing when none is like it. Two names are alike by the pairs of
neighbouring letters they share: twice the shared ones, divided by all, is at least six tenths.
*/}}
{{- define "ferrolb.nearest" -}}
{{- $name := include "ferrolb.plainName" .name }}
{{- $best := "" }}
{{- $bestLikeness := 599 }}
{{- range $candidate := sortAlpha .names }}
{{- $plain := include "ferrolb.plainName" $candidate }}
{{- $shared := 0 }}
{{- range $from := until (max 0 (sub (len $name) 1) | int) }}
{{- if contains (substr $from (int (add $from 2)) $name) $plain }}
{{- $shared = add1 $shared }}
{{- end }}
{{- end }}
{{- $likeness := eq $name $plain | ternary 1000 (div (mul 2000 $shared) (max 1 (sub (add (len $name) (len $plain)) 2))) }}
{{- if gt (int $likeness) (int $bestLikeness) }}
{{- $best = $candidate }}
{{- $bestLikeness = $likeness }}
{{- end }}
{{- end }}
{{- $best }}
{{- end }}

{{/* A name without what people vary: case and separators. */}}
{{- define "ferrolb.plainName" -}}
{{- . | lower | replace "-" "" | replace "_" "" }}
{{- end }}

{{/*
Finds settings of one name anywhere. Takes `definitions`, `schema` and `path` as above, and `search`: the
`name`, and `paths`, which grow.
*/}}
{{- define "ferrolb.elsewhere" -}}
{{- $schema := include "ferrolb.schema" . | fromJson }}
{{- range $key, $below := $schema.properties | default dict }}
{{- $path := eq $.path "" | ternary $key (printf "%s.%s" $.path $key) }}
{{- if eq (include "ferrolb.plainName" $key) (include "ferrolb.plainName" $.search.name) }}
{{- $_ := set $.search "paths" (append $.search.paths $path) }}
{{- end }}
{{- include "ferrolb.elsewhere" (dict "definitions" $.definitions "schema" $below "path" $path "search" $.search) }}
{{- end }}
{{- end }}
