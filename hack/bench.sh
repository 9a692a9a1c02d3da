#!/usr/bin/env bash
# shellcheck source-path=SCRIPTDIR
# Runs a benchmark on this machine: everything built as it ships. Only one that runs a node needs root.
set -euo pipefail
shopt -s inherit_errexit
umask 022
PATH=$PATH:/usr/local/go/bin:${CARGO_HOME:-$HOME/.cargo}/bin

hack=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=${hack%/*}
# The folder with the go.mod that programs.sh looks at.
cluster_sources=$hack/bench
. "$hack/cluster/message.sh"
. "$hack/cluster/host.sh"
. "$hack/cluster/programs.sh"
. "$hack/cluster/packages.sh"
. "$hack/bench/generators.sh"
. "$hack/bench/simulator.sh"
. "$hack/bench/apps.sh"

usage() {
  cat <<END
usage: $0 scale [PODS] | sidecar | webhook | jvm [STARTS]

  scale     the control plane with simulated nodes and PODS waiting pods (10000)
  sidecar   the sidecar's precision, cost and start, beside other load generators
  webhook   the webhook alone, beside a handler that answers a constant
  jvm       what the first users of a Java pod see, unwarmed and warmed, on a real node (root); STARTS of each kind (5)

Results are printed and kept in target/bench.
END
}

main() {
  case ${1:-} in
    scale) scale "${2:-10000}" ;;
    sidecar) sidecar ;;
    webhook) webhook ;;
    jvm) jvm "${2:-5}" ;;
    -h | --help | help) usage ;;
    '') die "which benchmark? 'make bench BENCH=scale' measures the control plane with thousands of waiting pods, BENCH=webhook what a review costs, BENCH=sidecar what is in each pod, BENCH=jvm what warm-up buys" ;;
    *) die "no benchmark is named '$1': there are scale, sidecar, webhook and jvm" ;;
  esac
}

# As it ships: the profile decides what a request costs.
webhook() {
  cd "$root"
  cargo bench --quiet --locked --package tests --bench webhook --profile release
}

scale() {
  local pods=$1 kwok
  [[ $pods =~ ^[1-9][0-9]{1,4}$ ]] || die "a number of pods is 10 to 99999, not '$pods'"
  "$hack/prerequisites.sh" images cluster
  kwok=$(simulator_folder)/kwok
  "$hack/cluster.sh" binaries >/dev/null
  # Two sockets for each report of the storm, and some to spare.
  ulimit -n "$((pods + 8192))" || die "the storm needs $((pods + 8192)) open files at once, and this shell may have $(ulimit -Hn): raise its limit, or ask for fewer PODS"
  cd "$root"
  cargo build --quiet --release --locked --package control-plane
  cargo bench --quiet --locked --package tests --bench scale -- --kwok="$kwok" --pods="$pods"
}

sidecar() {
  local generators program shipped
  "$hack/prerequisites.sh" images cluster
  generators=$(generators_folder)
  "$hack/images.sh" sidecar >/dev/null
  # As they lie in the image: the waiting program beside the sidecar.
  shipped=$root/target/bench/shipped
  mkdir -p "$shipped"
  for program in sidecar park; do
    install "$("$hack/compile.sh" "$program")" "$shipped/kube-booster-$program"
  done
  cd "$root"
  local -a oha=()
  [[ ! -x $generators/bin/oha ]] || oha=(--oha="$generators/bin/oha")
  cargo bench --quiet --locked --package tests --bench sidecar -- --sidecar="$shipped/kube-booster-sidecar" \
    --image="$root/target/images/sidecar.tar" --vegeta="$generators/vegeta" "${oha[@]}"
}

jvm() {
  local starts=$1 java python
  [[ $starts =~ ^[1-9][0-9]?$ ]] || die "a number of starts is 1 to 99, not '$starts'"
  "$hack/prerequisites.sh" images cluster
  must_be_root "a node"
  apps_install
  java=$(apps_image java)
  python=$(apps_image python)
  "$hack/cluster.sh" binaries >/dev/null
  cd "$root"
  cargo bench --quiet --locked --package tests --bench jvm -- --java-image="$java" --python-image="$python" --starts="$starts"
}

main "$@"
