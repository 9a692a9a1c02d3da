#!/usr/bin/env bash
# shellcheck source-path=SCRIPTDIR
# Compiles one of the programs statically, so that its image needs no other file, and prints where it is.
set -euo pipefail
shopt -s inherit_errexit

hack=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=${hack%/*}
# Beside the other builds: other flags in one folder would compile everything again and again.
build=${IMAGE_BUILD_DIR:-$root/target/static}
PATH=$PATH:${CARGO_HOME:-$HOME/.cargo}/bin
. "$hack/cluster/message.sh"

usage() {
  cat <<END
usage: $0 control-plane|sidecar|demo-app

IMAGE_TARGET names the Rust target: musl where it is installed, else gnu with a static C library ($(rust_target)).
END
}

main() {
  case ${1:-} in
    control-plane) compile control-plane kube-booster-control-plane release ;;
    sidecar) compile sidecar kube-booster-sidecar sidecar ;;
    demo-app) compile demo-app kube-booster-demo release ;;
    -h | --help) usage ;;
    *) usage >&2 && exit 2 ;;
  esac
}

# A static C library of its own is musl's purpose, but its target is an extra to install.
rust_target() {
  local machine libraries
  machine=$(uname -m)
  libraries=$(rustc --print target-libdir --target "$machine-unknown-linux-musl" 2>/dev/null) || true
  if [[ -d $libraries ]] && command -v musl-gcc >/dev/null; then
    printf '%s\n' "$machine-unknown-linux-musl"
  else
    printf '%s\n' "$machine-unknown-linux-gnu"
  fi
}

# compile PACKAGE PROGRAM PROFILE. Paths of this machine are in panics' locations and in C's __FILE__, unless they are mapped.
compile() {
  local package=$1 program=$2 profile=$3 target=${IMAGE_TARGET:-$(rust_target)} cargo_home
  cargo_home=${CARGO_HOME:-$HOME/.cargo}
  say "compiling $program for $target"
  CARGO_ENCODED_RUSTFLAGS=$(
    printf '%s\x1f' "--remap-path-prefix=$cargo_home=/cargo" "--remap-path-prefix=$root=/kube-booster" \
      "--remap-path-prefix=$build=/kube-booster/target" -Ctarget-feature=+crt-static
    printf '%s' -Cdebuginfo=0
  ) CFLAGS="-ffile-prefix-map=$cargo_home=/cargo -ffile-prefix-map=$root=/kube-booster" \
    cargo build --locked --manifest-path "$root/Cargo.toml" --target-dir "$build" --target "$target" \
    --package "$package" --bin "$program" --profile "$profile" >&2
  printf '%s\n' "$build/$target/$profile/$program"
}

main "$@"
