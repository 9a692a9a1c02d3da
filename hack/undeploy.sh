#!/usr/bin/env bash
# shellcheck source-path=SCRIPTDIR
# Takes kube-booster from a cluster: first the injection, then every gate, then the rest.
set -euo pipefail
shopt -s inherit_errexit

hack=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=${hack%/*}
. "$hack/cluster/message.sh"
. "$hack/client.sh"

main() {
  (($# == 0)) || { printf 'usage: %s (it takes kube-booster from the cluster of KUBECONFIG)\n' "$0" >&2 && exit 2; }
  client_choose
  say "taking kube-booster from $(kubectl config current-context) of $KUBECONFIG"
  kubectl delete mutatingwebhookconfiguration zz-kube-booster --ignore-not-found >&2
  # API servers go on calling a webhook until their watch has told them that it is gone.
  sleep 2
  "$hack/release_gates.sh"
  kubectl delete --kustomize "$root/manifests/base" --ignore-not-found --wait --timeout=120s >&2
  # Of an overlay, which may or may not have been deployed.
  kubectl delete clusterrolebinding,clusterrole kube-booster-evict-missed --ignore-not-found >&2
  "$hack/release_gates.sh"
  say "kube-booster is gone; pods that it warmed go on as they are"
}

main "$@"
