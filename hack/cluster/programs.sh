# shellcheck shell=bash
# The programs of a cluster: compiled once from Go modules, then kept in the user's cache.

programs=(etcd kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy kubectl)

# Prints the folder that holds every program, and compiles them first where it does not exist yet.
programs_folder() {
  local cache folder
  go_is_usable
  cache=${XDG_CACHE_HOME:-$HOME/.cache}/kube-booster
  folder=$cache/cluster-$(programs_fingerprint)
  [[ -d $folder ]] || programs_build "$cache" "$folder"
  printf '%s\n' "$folder"
}

go_is_usable() {
  local wanted found
  wanted=$(awk '$1 == "go" { print $2 }' "$cluster_sources/go.mod")
  command -v go >/dev/null || die "go is missing: install Go $wanted or later and put it on the PATH"
  found=$(GOTOOLCHAIN=local go env GOVERSION)
  found=${found#go}
  [[ $(printf '%s\n' "$wanted" "${found%% *}" | sort -V | head -n1) == "$wanted" ]] ||
    die "go $found is too old: install Go $wanted or later and put it first on the PATH"
}

# Whatever may change the programs is part of it, this file with its compiler flags included.
programs_fingerprint() {
  (
    cd "$cluster_sources"
    { GOTOOLCHAIN=local go env GOVERSION GOARCH && cat -- go.mod go.sum */main.go programs.sh ../tools/go.mod ../tools/go.sum; } |
      sha256sum | cut -c1-16
  )
}

programs_build() {
  local cache=$1 folder=$2
  mkdir -p "$cache"
  (
    exec 7>"$cache/build.lock"
    flock --nonblock 7 || {
      say "another build is at work; waiting for it"
      flock 7
    }
    [[ ! -d $folder ]] || exit 0
    programs_room "$cache"
    rm -rf "$cache"/building.*

    building=$(mktemp -d "$cache/building.XXXXXX")
    trap 'rm -rf "$building"' EXIT
    trap 'exit 130' INT TERM
    programs_compile "$building"
    chmod 755 "$building"
    mv -T "$building" "$folder"
    say "built in ${SECONDS}s, $(du -sh "$folder" | cut -f1): $folder"
  )
}

# A first build fills Go's caches; later ones need room for their results only.
programs_room() {
  local modules need=6144
  modules=$(go env GOMODCACHE)
  [[ ! -d $modules/k8s.io/kubernetes@$(module_version k8s.io/kubernetes) ]] || need=2048
  room_for "$1" "$need" "the build"
}

programs_compile() {
  local target=$1 kubernetes package linker="-s -w" program
  kubernetes=$(module_version k8s.io/kubernetes)
  say "building etcd $(module_version go.etcd.io/etcd/server/v3), Kubernetes $kubernetes and CoreDNS $(module_version github.com/coredns/coredns): several minutes the first time, half a minute later"
  for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
    linker+=" -X $package.gitVersion=$kubernetes -X $package.gitMajor=1 -X $package.gitMinor=$(cut -d. -f2 <<<"$kubernetes")"
  done
  go_build "$cluster_sources" "$linker" "$target/" ./kubernetes ./coredns ./pause
  go_build "$cluster_sources/../tools" "-s -w" "$target/" tool
  for program in "${programs[@]}"; do
    ln "$target/kubernetes" "$target/$program"
  done
}

# Go names each module that it downloads, some hundreds of them.
go_build() {
  local module=$1 linker=$2 target=$3
  shift 3
  env -u GOOS -u GOARCH CGO_ENABLED=0 GOTOOLCHAIN=local GOWORK=off GOFLAGS=-mod=readonly \
    go -C "$module" build -trimpath -buildvcs=false -ldflags "$linker" -o "$target" "$@" 2>&1 |
    { grep -v '^go: downloading ' || true; } >&2
}

module_version() {
  awk -v module="$1" '$1 == module { print $2; exit }' "$cluster_sources/go.mod"
}
