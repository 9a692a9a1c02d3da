#!/usr/bin/env bash
# shellcheck source-path=SCRIPTDIR
# Builds and pushes the images by Docker's buildx, for those who have it; 'make images' needs no engine.
set -euo pipefail
shopt -s inherit_errexit

hack=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=${hack%/*}
. "$hack/cluster/message.sh"

usage() {
  cat <<END
usage: $0 build|push CONTROL-PLANE-IMAGE SIDECAR-IMAGE

PLATFORMS names what the images are for, such as linux/amd64,linux/arm64 (push), and by default this machine (build). For
other machines than this one, Docker needs a builder for them: docker buildx create --use, and QEMU's binfmt handlers.
END
}

main() {
  (($# == 3)) || { usage >&2 && exit 2; }
  case $1 in
    build) engine && images "$2" "$3" "${PLATFORMS:-}" "$(destination "${PLATFORMS:-}")" ;;
    push) engine && images "$2" "$3" "${PLATFORMS:-linux/amd64,linux/arm64}" --push ;;
    *) usage >&2 && exit 2 ;;
  esac
}

engine() {
  local instead="or use 'make images', which needs no engine"
  command -v docker >/dev/null || die "docker is missing: install Docker with its buildx plugin, $instead"
  docker buildx version >/dev/null 2>&1 || die "docker has no buildx: install Docker's buildx plugin, $instead"
  docker info >/dev/null 2>&1 || die "docker is here, and its engine does not answer: start it, $instead"
}

# An engine's own store holds images of one platform; of several, only the build cache remains, for the push.
destination() { if [[ $1 == *,* ]]; then printf '%s\n' --output=type=cacheonly; else printf '%s\n' --load; fi; }

# images CONTROL-PLANE-IMAGE SIDECAR-IMAGE PLATFORMS DESTINATION
images() {
  image control-plane "$1" "$3" "$4"
  image sidecar "$2" "$3" "$4"
}

image() {
  local folder=$1 name=$2 platforms=$3 destination=$4
  say "building $name${platforms:+ for $platforms}"
  docker buildx build "$root" --file "$root/$folder/Dockerfile" --tag "$name" "$destination" \
    ${platforms:+--platform "$platforms"} --build-arg "VERSION=$(version)" --build-arg "REVISION=$(revision)"
}

version() { sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' "$root/Cargo.toml"; }

revision() { git -C "$root" rev-parse HEAD 2>/dev/null || true; }

main "$@"
