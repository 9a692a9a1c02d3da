#!/usr/bin/env bash
# shellcheck source-path=SCRIPTDIR
# Says what is missing on this machine, and how to get it, before a long command finds out half way.
set -euo pipefail

hack=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$hack/cluster/message.sh"

missing=()

# needs PROGRAM HOW-TO-GET-IT
needs() { command -v "$1" >/dev/null || missing+=("$1 is missing: $2"); }

images() {
  needs cargo "install Rust $(rust_version) or later by rustup, which Debian has as package rustup from version 13 on"
  needs cc "install Debian's package gcc"
  needs python3 "install Debian's package python3"
}

cluster() {
  needs make "install Debian's package make"
  needs go "install Go $(go_version) or later, Debian's package golang-go where it is as new"
  needs python3 "install Debian's package python3"
  needs openssl "install Debian's package openssl"
}

rust_version() { sed -n 's/^rust-version = "\(.*\)"/\1/p' "$hack/../Cargo.toml"; }

go_version() { sed -n 's/^go //p' "$hack/cluster/go.mod"; }

monitoring() {
  needs promtool "install Debian's package prometheus; its service may stay stopped"
  needs prometheus "install Debian's package prometheus; its service may stay stopped"
}

certificates() { needs openssl "install Debian's package openssl"; }

PATH=$PATH:/usr/local/go/bin:${CARGO_HOME:-$HOME/.cargo}/bin
for purpose in "$@"; do
  case $purpose in
    images | cluster | monitoring | certificates) "$purpose" ;;
    *) die "usage: $0 [images] [cluster] [monitoring] [certificates]" ;;
  esac
done
((${#missing[@]} == 0)) || die "$(printf '%s\n' "this machine is not ready" "${missing[@]}" | awk '!seen[$0]++')"
