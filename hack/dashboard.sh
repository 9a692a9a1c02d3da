#!/usr/bin/env bash
# shellcheck source-path=SCRIPTDIR
# Draws the dashboards as Grafana would show them, with what a real Prometheus saw of a real control plane: some five minutes.
set -euo pipefail
shopt -s inherit_errexit
umask 022
PATH=$PATH:/usr/local/go/bin:${CARGO_HOME:-$HOME/.cargo}/bin

hack=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$hack/cluster/message.sh"
cd "${hack%/*}"

main() {
  local folder=$PWD/target/dashboard name
  "$hack/prerequisites.sh" images cluster monitoring
  "$hack/cluster.sh" binaries >/dev/null
  mkdir -p "$folder"
  cargo build --quiet --workspace --locked
  KUBE_BOOSTER_DASHBOARD_DATA=$folder/data.json \
    cargo test --quiet --locked --package tests --test monitoring -- "every query of the dashboards"
  for name in kube-booster global/kube-booster-clusters; do
    python3 "$hack/dashboard/draw.py" "$folder/data.json" "$name.json" >"$folder/${name##*/}.svg"
    say "$folder/${name##*/}.svg"
  done
}

main "$@"
