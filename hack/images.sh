#!/usr/bin/env bash
# shellcheck source-path=SCRIPTDIR
# Builds the programs statically and puts each into an image archive: no base image, the same bytes every time.
set -euo pipefail
shopt -s inherit_errexit
umask 022

hack=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=${hack%/*}
archives=$root/target/images
. "$hack/cluster/message.sh"

usage() {
  cat <<END
Builds the images as archives in target/images, without a container engine.

usage: $0 [--registry HOST/PATH] [--tag TAG] [IMAGE…]

  --registry   what the images' names begin with (${REGISTRY:-localhost/kube-booster})
  --tag        of the images ($(version))
  IMAGE        control-plane, sidecar, demo-app (all)

IMAGE_TARGET names the Rust target, as '$hack/compile.sh --help' says.
END
}

version() { sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' "$root/Cargo.toml"; }

main() {
  local registry=${REGISTRY:-localhost/kube-booster} tag=${TAG:-$(version)} image
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
  mkdir -p "$archives"
  for image in "${images[@]}"; do "image_${image//-/_}" "$registry/$image:$tag"; done
}

image_control_plane() {
  image "$1" control-plane kube-booster-control-plane \
    --port 9443 --port 9090 --port 8080 --port 8081
}

image_sidecar() {
  local park
  park=$("$hack/compile.sh" park)
  image "$1" sidecar kube-booster-sidecar --file "$park=/kube-booster-park"
  within_budget "$archives/sidecar.tar"
}

# What every warmed pod pulls, once per node: 3 MiB with musl, and half a MiB more for glibc's static library.
within_budget() {
  local archive=$1 budget=$((7 << 19)) size
  [[ $("$hack/compile.sh" target) != *-musl ]] || budget=$((6 << 19))
  size=$(stat --format %s "$archive")
  ((size <= budget)) || die "${archive##*/} has $size bytes, and its budget is $budget"
}

image_demo_app() { image "$1" demo-app kube-booster-demo --port 8080 --cmd serve; }

# image NAME PACKAGE PROGRAM OPTION…
image() {
  local name=$1 package=$2 program=$3 compiled revision
  shift 3
  compiled=$("$hack/compile.sh" "$package")
  revision=$(revision)
  "$hack/image.py" "$name" "$archives/$package.tar" \
    --file "$compiled=/$program" --entrypoint "/$program" --user 65532:65532 \
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

main "$@"
