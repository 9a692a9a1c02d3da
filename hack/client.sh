# shellcheck shell=bash
# The cluster that a command works on, and a kubectl that gets along with it.

# Sets KUBECONFIG and kubectl_program.
client_choose() {
  local own
  own=$(client_local)
  if [[ -z ${KUBECONFIG:-} ]]; then
    KUBECONFIG=$own
    [[ -n $own || ! -f $HOME/.kube/config ]] || KUBECONFIG=$HOME/.kube/config
    [[ -n $KUBECONFIG ]] || die "there is no cluster to work on: set KUBECONFIG, or start one on this machine by 'make cluster-up'"
  fi
  [[ $KUBECONFIG == *:* || -e $KUBECONFIG ]] ||
    die "KUBECONFIG=$KUBECONFIG is not there (a cluster that was taken down?): unset it, or name another one"
  export KUBECONFIG
  if [[ $KUBECONFIG == "$own" ]]; then
    kubectl_program=$("${hack:?}/cluster.sh" binaries)/kubectl
  else
    kubectl_program=$(type -P kubectl) || kubectl_program=$("${hack:?}/cluster.sh" binaries)/kubectl ||
      die "kubectl is missing: install it and put it on the PATH"
  fi
  client_answers
}

# Prints the kubeconfig of this machine's own cluster, or nothing.
client_local() { "$hack/cluster.sh" kubeconfig 2>/dev/null || true; }

client_is_local() { [[ $KUBECONFIG == "$(client_local)" ]]; }

client_answers() {
  local problem
  problem=$(kubectl get --raw /version --request-timeout=10s 2>&1 >/dev/null) ||
    die "the cluster of KUBECONFIG=$KUBECONFIG does not answer: ${problem##*$'\n'}"
}

# As a function, so that what follows need not know which program it is.
kubectl() { "$kubectl_program" "$@"; }

# The oldest Kubernetes with native sidecars, match conditions and validating admission policies.
client_is_new_enough() {
  local version major minor
  version=$(kubectl get --raw /version)
  major=$(sed -n 's/.*"major": *"\([0-9]*\).*/\1/p' <<<"$version")
  minor=$(sed -n 's/.*"minor": *"\([0-9]*\).*/\1/p' <<<"$version")
  ((major > 1 || (major == 1 && minor >= 30))) ||
    die "kube-booster needs Kubernetes 1.30 or later, and this cluster has ${major:-?}.${minor:-?}; nothing was changed"
}
