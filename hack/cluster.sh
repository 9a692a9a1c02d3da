#!/usr/bin/env bash
# shellcheck source-path=SCRIPTDIR
set -euo pipefail
shopt -s inherit_errexit nullglob extglob
umask 022
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin:/usr/local/go/bin

hack=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cluster_sources=$hack/cluster
clusters=${XDG_STATE_HOME:-$HOME/.local/state}/kube-booster/clusters
. "$hack/cluster/message.sh"
. "$hack/cluster/host.sh"
. "$hack/cluster/programs.sh"
. "$hack/cluster/packages.sh"
. "$hack/cluster/daemon.sh"
. "$hack/cluster/network.sh"
. "$hack/cluster/identities.sh"
. "$hack/cluster/control-plane.sh"
. "$hack/cluster/images.sh"
. "$hack/cluster/node.sh"
. "$hack/cluster/teardown.sh"
. "$hack/cluster/lifecycle.sh"

usage() {
  cat <<END
A Kubernetes cluster on this machine, without a container engine, a registry or the internet.

usage: $0 VERB [--name NAME] …

  up [--nodes N]   start a cluster (1 node), or say that it is up already
  down             take it away: processes, network, mounts and files
  load ARCHIVE…    bring image archives (see image.py) to its nodes
  status           what runs
  kubeconfig       print the path of its kubeconfig
  list             print the clusters of this machine
  binaries         print the folder of kubectl, etcd and the rest; build them first where needed
  packages         install the system packages that a cluster needs

NAME is "demo" unless KB_CLUSTER or --name says otherwise. Programs are kept in
${XDG_CACHE_HOME:-$HOME/.cache}/kube-booster, clusters in $clusters.
END
}

main() {
  local verb=${1:-} nodes=
  local -a archives=()
  case $verb in
    up | down | load | status | kubeconfig | list | binaries | packages) shift ;;
    -h | --help | help) usage && exit ;;
    '') usage >&2 && exit 2 ;;
    *) die "no verb is named '$verb': '$0 --help' lists them" ;;
  esac
  cluster_name=${KB_CLUSTER:-demo}
  options "$@"
  [[ $cluster_name =~ ^[a-z][a-z0-9-]{0,11}$ && ! $cluster_name =~ -node[0-9]+$ ]] ||
    die "'$cluster_name' cannot name a cluster: up to 12 small letters, digits and dashes, first a letter, no -node1 at the end"
  cluster=$(lifecycle_folder)
  case $verb in
    binaries) programs_folder ;;
    packages) packages_install ;;
    load) lifecycle_load "${archives[@]}" ;;
    up) lifecycle_up "${nodes:-1}" "$nodes" ;;
    *) "lifecycle_$verb" ;;
  esac
}

# Sets what main has declared.
options() {
  while (($# > 0)); do
    case $1 in
      -h | --help) usage && exit ;;
      --name=* | --nodes=*) set -- "${1%%=*}" "${1#*=}" "${@:2}" && continue ;;
      --name | --nodes)
        (($# > 1)) || die "$1 needs a value"
        [[ $1 != --name ]] || cluster_name=$2
        [[ $1 != --nodes ]] || nodes=$2
        shift
        ;;
      -*) die "$verb has no option $1: '$0 --help' lists them" ;;
      *)
        [[ $verb == load ]] || die "$verb takes no '$1': '$0 --help' says what it takes"
        archives+=("$1")
        ;;
    esac
    shift
  done
  [[ -z $nodes || $verb == up ]] || die "$verb has no option --nodes: only up has"
  [[ -z $nodes || $nodes =~ ^([1-9]|1[0-9]|20)$ ]] || die "a cluster has 1 to 20 nodes, not '$nodes'"
}

main "$@"
