{{- /*
The chart has no manifests of its own: files/ are links to the kustomize bases, so that the two can't drift apart. Only the
namespace and the priority class are replaced: include "sluice.file" (list $ "rbac/service_account.yaml")
*/ -}}
{{- define "sluice.file" -}}
{{- $root := index . 0 -}}
{{- $path := printf "files/%s" (index . 1) -}}
{{- $content := $root.Files.Get $path -}}
{{- if not $content }}{{ fail (printf "%s is not in the chart" $path) }}{{ end -}}
{{- $content = $content | replace "sluice-system" $root.Release.Namespace -}}
{{- with $root.Values.priorityClassName }}{{ $content = $content | replace "system-cluster-critical" . }}{{ end -}}
{{- $content -}}
{{- end -}}
