#!/usr/bin/env bash
# shellcheck source-path=SCRIPTDIR
# Fuzzes every target for some seconds: fuzz.sh [SECONDS] [TARGET]...
set -euo pipefail
shopt -s inherit_errexit

hack=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$hack/cluster/message.sh"
cd "${hack%/*}"

main() {
  local seconds=${1:-30} only=("${@:2}") status=0 folder target
  check_tools
  for folder in control-plane/fuzz proto/fuzz; do
    for target in "$folder"/fuzz_targets/*.rs; do
      target=$(basename "$target" .rs)
      if [[ ${#only[@]} -eq 0 || " ${only[*]} " == *" $target "* ]]; then
        fuzz "$folder" "$target" "$seconds" || status=$?
      fi
    done
  done
  return "$status"
}

check_tools() {
  cargo +nightly --version >/dev/null 2>&1 ||
    die "fuzzing needs a nightly compiler: rustup toolchain install nightly --profile minimal"
  cargo +nightly fuzz --version >/dev/null 2>&1 || die "fuzzing needs cargo-fuzz: cargo install --locked cargo-fuzz"
}

# What is found beside the committed corpus stays in target/.
fuzz() {
  local folder=$1 target=$2 seconds=$3 found=$PWD/target/fuzz/corpus/$2
  mkdir -p "$found"
  say "fuzzing $target for ${seconds}s"
  cargo +nightly fuzz run --fuzz-dir "$folder" --target-dir "$PWD/target/fuzz" "$target" \
    "$found" "$folder/corpus/$target" -- -max_total_time="$seconds" -max_len=65536 -timeout=5 -rss_limit_mb=1024 \
    -print_final_stats=1 -verbosity=0
}

main "$@"
