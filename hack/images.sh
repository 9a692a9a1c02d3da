#!/usr/bin/env bash
# shellcheck source-path=SCRIPTDIR
# Builds the programs statically and puts each into an image archive: no base image, the same bytes every time.
set -euo pipefail
shopt -s inherit_errexit
umask 022

hack=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=${hack%/*}
archives=$root/target/images
# Beside the other builds: other flags in one folder would compile everything again and again.
build=${IMAGE_BUILD_DIR:-$root/target/static}
PATH=$PATH:${CARGO_HOME:-$HOME/.cargo}/bin
. "$hack/cluster/message.sh"

usage() {
  cat <<END
Builds the images as archives in target/images, without a container engine.

usage: $0 [--registry HOST/PATH] [--tag TAG] [IMAGE…]

  --registry   what the images' names begin with (${REGISTRY:-localhost/kube-booster})
  --tag        of the images ($(version))
  IMAGE        control-plane, sidecar, demo-app (all)

IMAGE_TARGET names the Rust target: musl where it is installed, else gnu with a static C library ($(rust_target)).
END
}

version() { sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' "$root/Cargo.toml"; }

main() {
  local registry=${REGISTRY:-localhost/kube-booster} tag=${TAG:-$(version)} image target
  local -a images=()
  while (($# > 0)); do
    case $1 in
      -h | --help) usage && exit ;;
      --registry=* | --tag=*) set -- "${1%%=*}" "${1#*=}" "${@:2}" && continue ;;
      --registry) registry=${2:?--registry needs a value} && shift ;;
      --tag) tag=${2:?--tag needs a value} && shift ;;
      control-plane | sidecar | demo-app) images+=("$1") ;;
      *) die "no image and no option is named '$1': '$0 --help' lists them" ;;
    esac
    shift
  done
  ((${#images[@]} > 0)) || images=(control-plane sidecar demo-app)
  "$hack/prerequisites.sh" images
  target=${IMAGE_TARGET:-$(rust_target)}
  mkdir -p "$archives"
  for image in "${images[@]}"; do "image_${image//-/_}" "$registry/$image:$tag" "$target"; done
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

image_control_plane() {
  image "$1" "$2" control-plane kube-booster-control-plane release \
    --port 9443 --port 9090 --port 8080 --port 8081
}

image_sidecar() { image "$1" "$2" sidecar kube-booster-sidecar sidecar; }

image_demo_app() { image "$1" "$2" demo-app kube-booster-demo release --port 8080 --cmd serve; }

# image NAME TARGET PACKAGE PROGRAM PROFILE OPTION…
image() {
  local name=$1 target=$2 package=$3 program=$4 profile=$5 revision
  shift 5
  compile "$target" "$package" "$program" "$profile"
  revision=$(revision)
  "$hack/image.py" "$name" "$archives/$package.tar" \
    --file "$build/$target/$profile/$program=/$program" --entrypoint "/$program" --user 65532:65532 \
    --label "org.opencontainers.image.title=$program" \
    --label "org.opencontainers.image.version=$(version)" \
    --label "org.opencontainers.image.licenses=Apache-2.0" \
    ${revision:+--label "org.opencontainers.image.revision=$revision"} \
    "$@"
}

# Nothing outside a checkout.
revision() {
  local revision
  revision=$(git -C "$root" rev-parse HEAD 2>/dev/null) || return 0
  git -C "$root" diff --quiet HEAD 2>/dev/null || revision+=-dirty
  printf '%s\n' "$revision"
}

# Paths of this machine are in panics' locations and in C's __FILE__, unless they are mapped.
compile() {
  local target=$1 package=$2 program=$3 profile=$4 cargo_home
  cargo_home=${CARGO_HOME:-$HOME/.cargo}
  say "compiling $program for $target"
  CARGO_ENCODED_RUSTFLAGS=$(
    printf '%s\x1f' "--remap-path-prefix=$cargo_home=/cargo" "--remap-path-prefix=$root=/kube-booster" \
      "--remap-path-prefix=$build=/kube-booster/target" -Ctarget-feature=+crt-static
    printf '%s' -Cdebuginfo=0
  ) CFLAGS="-ffile-prefix-map=$cargo_home=/cargo -ffile-prefix-map=$root=/kube-booster" \
    cargo build --locked --manifest-path "$root/Cargo.toml" --target-dir "$build" --target "$target" \
    --package "$package" --bin "$program" --profile "$profile"
}

main "$@"
