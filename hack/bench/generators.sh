# shellcheck shell=bash
# Programs that send requests, to compare ours with: compiled once from public sources, then kept in the user's cache.

oha_version=1.16.0

# Prints the folder that holds them, and compiles them first where it does not exist yet.
generators_folder() {
  local cache folder
  go_is_usable
  cache=${XDG_CACHE_HOME:-$HOME/.cache}/kube-booster
  folder=$cache/generators-$(generators_fingerprint)
  [[ -d $folder ]] || generators_build "$cache" "$folder"
  printf '%s\n' "$folder"
}

generators_fingerprint() {
  (
    cd "$cluster_sources/generators"
    { GOTOOLCHAIN=local go env GOVERSION GOARCH && cat -- go.mod go.sum ../generators.sh ../../cluster/programs.sh; } |
      sha256sum | cut -c1-16
  )
}

generators_build() {
  local cache=$1 folder=$2
  mkdir -p "$cache"
  (
    exec 7>"$cache/generators.lock"
    flock 7
    [[ ! -d $folder ]] || exit 0
    room_for "$cache" 2048 "the build"
    say "building vegeta and oha $oha_version: several minutes the first time"
    rm -rf "$cache"/generating.*
    building=$(mktemp -d "$cache/generating.XXXXXX")
    trap 'rm -rf "$building"' EXIT
    trap 'exit 130' INT TERM
    go_build "$cluster_sources/generators" "-s -w" "$building/" tool
    cargo install --quiet --locked --version "$oha_version" --root "$building" --target-dir "$building/target" oha ||
      say "oha is not to be had here; the comparison goes without it"
    rm -rf "$building/target"
    chmod 755 "$building"
    mv -T "$building" "$folder"
  )
}
