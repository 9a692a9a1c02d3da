#!/usr/bin/env bash
# shellcheck source-path=SCRIPTDIR
# Runs a benchmark on this machine: everything built as it ships, over loopback; no root needed.
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
. "$hack/bench/generators.sh"
. "$hack/bench/simulator.sh"

usage() {
  cat <<END
usage: $0 BENCHMARK [PODS]

  scale     the control plane with simulated nodes and PODS waiting pods (10000)
  sidecar   the sidecar's precision, cost and start, beside other load generators

Results are printed and kept in target/bench.
END
}

main() {
  case ${1:-} in
    scale) scale "${2:-10000}" ;;
    sidecar) sidecar ;;
    -h | --help | help) usage ;;
    '') die "which benchmark? 'make bench BENCH=scale' measures the control plane with thousands of waiting pods, BENCH=sidecar what is in each pod" ;;
    *) die "no benchmark is named '$1': there are scale and sidecar" ;;
  esac
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

main "$@"
