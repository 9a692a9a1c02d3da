#!/usr/bin/env bash
# shellcheck source-path=SCRIPTDIR
# Opens every gate of ours that is closed, so that no pod waits for a control plane that is gone.
set -euo pipefail
shopt -s inherit_errexit

hack=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$hack/cluster/message.sh"
. "$hack/client.sh"

condition=kube-booster.io/warmup-ready
passes=60
workers=8

main() {
  local pass closed namespace name running
  client_choose
  for ((pass = 1; pass <= passes; pass++)); do
    closed=$(closed_gates)
    [[ -n $closed ]] || return 0
    running=0
    while read -r namespace name; do
      ((running++ < workers)) || wait -n
      release "$namespace" "$name" &
    done <<<"$closed"
    wait
    sleep 0.5
  done
  die "these gates are still closed: $closed"
}

# All pods are looked at, since one may have lost our label. Those that have ended have no use for a gate.
closed_gates() {
  kubectl get pods --all-namespaces --field-selector status.phase!=Succeeded,status.phase!=Failed --output go-template="
{{- range .items}}{{\$closed := false}}
{{- range .spec.readinessGates}}{{if eq .conditionType \"$condition\"}}{{\$closed = true}}{{end}}{{end}}
{{- range .status.conditions}}{{if and (eq .type \"$condition\") (eq .status \"True\")}}{{\$closed = false}}{{end}}{{end}}
{{- if \$closed}}{{.metadata.namespace}} {{.metadata.name}}{{\"\n\"}}{{end}}
{{- end}}"
}

release() {
  local namespace=$1 name=$2 now patch problem
  now=$(date --utc +%Y-%m-%dT%H:%M:%SZ)
  printf -v patch '{"status":{"conditions":[{"type":"%s","status":"True","reason":"Released","message":"%s","lastTransitionTime":"%s"}]}}' \
    "$condition" "released without a warm-up: kube-booster was uninstalled" "$now"
  if problem=$(kubectl --namespace "$namespace" patch pod "$name" --subresource=status --type=strategic --patch "$patch" 2>&1); then
    say "released $namespace/$name"
  elif [[ $problem != *NotFound* ]]; then
    say "could not release $namespace/$name yet: $problem"
  fi
}

main
