# shellcheck shell=bash
# kwok, which plays nodes and kubelets: compiled once from its Go module, then kept in the user's cache.

# Prints the folder that holds it, and compiles it first where it does not exist yet.
simulator_folder() {
  local cache folder
  go_is_usable
  cache=${XDG_CACHE_HOME:-$HOME/.cache}/kube-booster
  folder=$cache/simulator-$(simulator_fingerprint)
  [[ -d $folder ]] || simulator_build "$cache" "$folder"
  printf '%s\n' "$folder"
}

simulator_fingerprint() {
  (
    cd "$cluster_sources"
    { GOTOOLCHAIN=local go env GOVERSION GOARCH && cat -- go.mod go.sum simulator.sh ../cluster/programs.sh; } |
      sha256sum | cut -c1-16
  )
}

simulator_build() {
  local cache=$1 folder=$2
  mkdir -p "$cache"
  (
    exec 7>"$cache/simulator.lock"
    flock 7
    [[ ! -d $folder ]] || exit 0
    room_for "$cache" 2048 "the build"
    say "building kwok $(module_version sigs.k8s.io/kwok): several minutes the first time"
    rm -rf "$cache"/simulating.*
    building=$(mktemp -d "$cache/simulating.XXXXXX")
    trap 'rm -rf "$building"' EXIT
    trap 'exit 130' INT TERM
    go_build "$cluster_sources" "-s -w" "$building/" tool
    chmod 755 "$building"
    mv -T "$building" "$folder"
  )
}
