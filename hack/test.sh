#!/usr/bin/env bash
# shellcheck source-path=SCRIPTDIR
# Everything: format and lints, the code's own tests, a real API server, a real node; ends with a line that counts tests.
set -euo pipefail
shopt -s inherit_errexit

hack=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$hack/cluster/message.sh"
. "$hack/cluster/host.sh"
. "$hack/cluster/packages.sh"
cd "${hack%/*}"

main() {
  local status=0
  monitoring
  "$hack/prerequisites.sh" images cluster monitoring
  make --no-print-directory lint
  "$hack/cluster.sh" binaries >/dev/null
  # Before the tests, which look for our programs beside themselves.
  cargo build --workspace --locked
  log=$(mktemp)
  trap 'rm -f "$log"' EXIT
  cargo test --workspace --locked --no-fail-fast 2>&1 | tee "$log" || status=$?
  say "tests took ${SECONDS}s, builds included"
  failures "$log"
  count "$log"
  return "$status"
}

# Root is given a Prometheus, whose service the tests have no use for, as for a cluster; others are told.
monitoring() {
  if ((EUID != 0)) || command -v prometheus >/dev/null; then return; fi
  command -v apt-get >/dev/null || return 0
  packages_needed=(promtool:prometheus)
  packages_install
  systemctl disable --quiet prometheus 2>/dev/null || true
}

# Says again what failed and why: a log's last lines are often all that people get to see.
failures() {
  awk '
    /^failures:$/ { wanted = 0 }
    /^---- .* ----$/ { wanted = 1; lines = 0 }
    wanted && lines++ < 15 { print substr($0, 1, 500) }' "$1"
  grep -E '^test .* FAILED$' "$1" || true
}

# Adds up the closing lines of all test programs.
count() {
  awk '
    /^test result: / {
      for (i = 2; i <= NF; i++) {
        if ($i == "passed;") passed += $(i - 1)
        if ($i == "failed;") failed += $(i - 1)
        if ($i == "ignored;") skipped += $(i - 1)
      }
    }
    END { printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped }' "$1"
}

main "$@"
