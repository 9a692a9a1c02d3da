#!/usr/bin/env bash
# shellcheck source-path=SCRIPTDIR
# Brings a sample of manifests/samples to a cluster and waits until it is warm, or takes it away.
set -euo pipefail
shopt -s inherit_errexit
umask 022

hack=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=${hack%/*}
. "$hack/cluster/message.sh"
. "$hack/client.sh"

usage() {
  cat <<END
usage: $0 up|down [SAMPLE] [DEMO-APP-IMAGE]

  SAMPLE   a folder of manifests/samples: demo-app (default on this machine's own cluster) or nginx (default elsewhere:
           its image comes from a registry)
END
}

main() {
  local verb=${1:-} sample=${2:-} image=${3:-kube-booster/demo-app:0.1.0} folder=$root/target/sample name
  [[ $verb == up || $verb == down ]] || { usage >&2 && exit 2; }
  client_choose
  [[ -n $sample ]] || sample=$(preferred)
  [[ -d $root/manifests/samples/$sample ]] || die "there is no folder manifests/samples/$sample"
  mkdir -p "$folder"
  kustomization "$sample" "$image" >"$folder/kustomization.yaml"
  if [[ $verb == down ]]; then
    kubectl delete --kustomize "$folder" --ignore-not-found >&2
    return
  fi
  kubectl apply --kustomize "$folder" >&2
  name=$(kubectl get --kustomize "$folder" --output 'jsonpath={.items[?(@.kind=="Deployment")].metadata.name}')
  kubectl rollout status "deployment/$name" --timeout=120s >&2 || explain "$name"
  is_injected "$name" || die "sample $sample runs and was not warmed: kube-booster is not in this cluster ('make deploy'), or left its pods alone"
  hint "$name"
}

preferred() { if client_is_local; then printf demo-app; else printf nginx; fi; }

kustomization() {
  cat <<END
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [../../manifests/samples/$1]
images:
- name: kube-booster/demo-app
  newName: ${2%:*}
  newTag: "${2##*:}"
END
}

is_injected() {
  [[ -n $(kubectl get pods --selector "app=$1,kube-booster.io/injected=true" --output name) ]]
}

explain() {
  kubectl describe pods --selector "app=$1" | tail -n 25 >&2
  ! client_is_local || say "images come to this machine's cluster by 'make images cluster-load'"
  die "sample $1 did not become ready"
}

hint() {
  printf '\nwarmed:\n'
  kubectl get pods --selector "app=$1" --output jsonpath='{range .items[*]}  {.metadata.name}: {.status.conditions[?(@.type=="kube-booster.io/warmup-ready")].message}{"\n"}{end}'
  printf '\nsee also: kubectl describe pods --selector app=%s\n' "$1"
}

main "$@"
