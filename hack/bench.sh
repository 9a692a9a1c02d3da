#!/usr/bin/env bash
# shellcheck source-path=SCRIPTDIR
# Runs a benchmark on this machine: everything built as it ships, against a real API server on loopback; no root needed.
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
. "$hack/bench/simulator.sh"

usage() {
  cat <<END
usage: $0 BENCHMARK [PODS]

  scale   the control plane with simulated nodes and PODS waiting pods (10000)
  webhook the webhook alone, beside a handler that answers a constant

Results are printed and kept in target/bench.
END
}

main() {
  case ${1:-} in
    scale) scale "${2:-10000}" ;;
    webhook) webhook ;;
    -h | --help | help) usage ;;
    '') die "which benchmark? 'make bench BENCH=scale' measures the control plane with thousands of waiting pods, 'make bench BENCH=webhook' what a review costs" ;;
    *) die "no benchmark is named '$1': there are scale and webhook" ;;
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

main "$@"
