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
usage: $0 control-plane|sidecar|park|demo-app
       $0 target

IMAGE_TARGET names the Rust target: musl where it is installed, else gnu with a static C library ($(rust_target)).
'target' prints it.
END
}

main() {
  case ${1:-} in
    control-plane) compile control-plane kube-booster-control-plane release ;;
    sidecar) compile sidecar kube-booster-sidecar sidecar ;;
    park) compile_alone park kube-booster-park sidecar ;;
    target) printf '%s\n' "${IMAGE_TARGET:-$(rust_target)}" ;;
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

# compile PACKAGE PROGRAM PROFILE
compile() { cargo_build "$1" "$2" "$3" "${IMAGE_TARGET:-$(rust_target)}" -Ctarget-feature=+crt-static; }

# compile_alone PACKAGE PROGRAM PROFILE: a program that links no C library. musl's target would add its start-up code, so that
# gnu's is taken for both where it is installed.
compile_alone() {
  local target=${IMAGE_TARGET:-$(rust_target)} libraries
  local -a flags=(-Crelocation-model=static)
  libraries=$(rustc --print target-libdir --target "${target/-musl/-gnu}" 2>/dev/null) || true
  if [[ -d $libraries ]]; then target=${target/-musl/-gnu}; else flags+=(-Clink-self-contained=no); fi
  cargo_build "$1" "$2" "$3" "$target" "${flags[@]}"
}

# cargo_build PACKAGE PROGRAM PROFILE TARGET FLAG…. Paths of this machine are in panics' locations and in C's __FILE__, unless
# they are mapped.
cargo_build() {
  local package=$1 program=$2 profile=$3 target=$4 cargo_home
  shift 4
  cargo_home=${CARGO_HOME:-$HOME/.cargo}
  say "compiling $program for $target"
  CARGO_ENCODED_RUSTFLAGS=$(
    printf '%s\x1f' "--remap-path-prefix=$cargo_home=/cargo" "--remap-path-prefix=$root=/kube-booster" \
      "--remap-path-prefix=$build=/kube-booster/target" "$@"
    printf '%s' -Cdebuginfo=0
  ) CFLAGS="-ffile-prefix-map=$cargo_home=/cargo -ffile-prefix-map=$root=/kube-booster" \
    cargo build --locked --manifest-path "$root/Cargo.toml" --target-dir "$build" --target "$target" \
    --package "$package" --bin "$program" --profile "$profile" >&2
  printf '%s\n' "$build/$target/$profile/$program"
}

main "$@"
