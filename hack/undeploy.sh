#!/usr/bin/env bash
# shellcheck source-path=SCRIPTDIR
# Takes kube-booster from a cluster: first the injection, then every gate, then the rest.
set -euo pipefail
shopt -s inherit_errexit

hack=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$hack/cluster/message.sh"
. "$hack/client.sh"

# What lies outside our namespace; all that lies in it goes with it.
elsewhere=clusterroles,clusterrolebindings,roles,rolebindings
elsewhere+=,validatingadmissionpolicies,validatingadmissionpolicybindings

main() {
  (($# == 0)) || { printf 'usage: %s (it takes kube-booster from the cluster of KUBECONFIG)\n' "$0" >&2 && exit 2; }
  client_choose
  say "taking kube-booster from $(kubectl config current-context) of $KUBECONFIG"
  kubectl delete mutatingwebhookconfiguration zz-kube-booster --ignore-not-found >&2
  # API servers go on calling a webhook until their watch has told them that it is gone.
  sleep 2
  "$hack/release_gates.sh"
  # The fence goes after whom it fences.
  delete namespaces
  delete "$elsewhere" --all-namespaces
  "$hack/release_gates.sh"
  say "kube-booster is gone; pods that it warmed go on as they are"
}

# By label, because an overlay may have added objects, or named our namespace otherwise.
delete() { kubectl delete "$@" --selector app.kubernetes.io/part-of=kube-booster --ignore-not-found --wait --timeout=120s >&2; }

main "$@"
