# shellcheck shell=bash
# What the verbs do to a cluster from its first breath to its last.

lifecycle_up() {
  local nodes=$1 asked=$2
  must_be_root up
  packages_install
  host_is_able
  binaries=$(programs_folder)
  room_for "$clusters" 1024 "a cluster"
  [[ $cluster != /run/* && $binaries != /run/* ]] || die "a cluster cannot be kept under /run, which its nodes do not see: name other folders by XDG_STATE_HOME and XDG_CACHE_HOME"
  cluster_lock
  if lifecycle_is_there && lifecycle_keeps "$asked"; then
    say "cluster $cluster_name is up already"
    lifecycle_hint
    return
  fi
  trap lifecycle_give_up EXIT
  trap 'exit 130' INT TERM HUP
  teardown
  rm -rf "$cluster/logs"
  lifecycle_start "$nodes"
  trap - EXIT INT TERM HUP
  say "cluster $cluster_name is up after ${SECONDS}s"
  lifecycle_hint
}

# One that runs is found even by a user whose own clusters are elsewhere.
lifecycle_folder() {
  cat "$host_folder/$cluster_name/folder" 2>/dev/null || printf '%s\n' "$clusters/$cluster_name"
}

lifecycle_is_there() { [[ -e $cluster/subnet ]]; }

# lifecycle_keeps NODES-OR-NOTHING: whether the cluster that is there serves.
lifecycle_keeps() {
  local asked=$1 name has
  has=$(lifecycle_node_count)
  [[ -e $cluster/complete ]] || {
    say "cluster $cluster_name was never up completely: starting it anew"
    return 1
  }
  binaries=$(<"$cluster/binaries")
  for name in $(daemon_names); do
    daemon_is_alive "$name" || {
      say "$name of cluster $cluster_name is not running: starting the cluster anew"
      return 1
    }
  done
  kubectl get --raw /readyz >/dev/null 2>&1 || {
    say "the API server of cluster $cluster_name does not answer: starting the cluster anew"
    return 1
  }
  [[ -z $asked || $asked == "$has" ]] || die "cluster $cluster_name is up with $has node(s), not $asked: run '$0 down --name $cluster_name' first, or use another name"
}

lifecycle_node_count() {
  local -a folders=("$cluster"/node+([0-9])/)
  printf '%s' "${#folders[@]}"
}

lifecycle_start() {
  local nodes=$1 node
  mkdir -p "$cluster/logs" "$cluster/daemons"
  chmod 700 "$cluster"
  printf '%s\n' "$binaries" >"$cluster/binaries"
  say "starting cluster $cluster_name with $nodes node(s)"
  host_locked lifecycle_claim "$nodes"
  identities_create "$nodes"
  control_plane_start
  for ((node = 1; node <= nodes; node++)); do node_containerd "$node"; done
  images_build
  for ((node = 1; node <= nodes; node++)); do
    wait_for "node$node-containerd" 30 test -S "$(containerd_socket "$node")"
    images_import "$node" "$binaries/pause.tar" "$binaries/coredns.tar"
  done

  wait_for kube-apiserver 90 kubectl get --raw /readyz
  control_plane_controllers
  wait_for kube-apiserver 30 kubectl apply -f "$cluster_sources/proxy.yaml" -f "$cluster_sources/coredns.yaml"
  for ((node = 1; node <= nodes; node++)); do node_kubelet "$node"; done
  for ((node = 1; node <= nodes; node++)); do
    wait_for "node$node-kubelet" 90 kubectl wait --for=condition=Ready "node/$(node_name "$node")" --timeout=2s
  done
  wait_for node1-kubelet 90 kubectl --namespace kube-system rollout status deployment/coredns --timeout=2s
  wait_for kube-controller-manager 30 kubectl --namespace default get serviceaccount default
  touch "$cluster/complete"
}

lifecycle_claim() {
  host_prepare
  mkdir -p "$host_folder/$cluster_name"
  printf '%s\n' "$cluster" >"$host_folder/$cluster_name/folder"
  network_create "$1"
}

# Runs when up ends before its end: whatever the reason, nothing but the logs stays.
lifecycle_give_up() {
  local status=$?
  trap - EXIT
  trap '' INT TERM HUP
  teardown || true
  say "cluster $cluster_name is not up and was taken away; its logs are in $cluster/logs"
  exit "$((status > 0 ? status : 1))"
}

lifecycle_hint() {
  cat <<END
export KUBECONFIG=$cluster/kubeconfig
export PATH=$binaries:\$PATH  # kubectl
END
}

lifecycle_down() {
  must_be_root down
  cluster_lock
  teardown
  rm -rf "$cluster"
  rmdir "$clusters" "${clusters%/*}" 2>/dev/null || true
  say "cluster $cluster_name is gone"
}

lifecycle_load() {
  local archive node
  (($# > 0)) || die "load needs an image archive: image.py makes one"
  must_be_root load
  lifecycle_must_be_there
  for archive in "$@"; do [[ -f $archive ]] || die "there is no archive $archive"; done
  for ((node = 1; node <= $(lifecycle_node_count); node++)); do images_import "$node" "$@"; done
}

lifecycle_kubeconfig() {
  lifecycle_must_be_there
  printf '%s\n' "$cluster/kubeconfig"
}

lifecycle_must_be_there() {
  lifecycle_is_there || die "there is no cluster $cluster_name: run '$0 up --name $cluster_name'"
}

lifecycle_list() {
  local folder
  for folder in "$host_folder"/*/; do basename "$folder"; done
}

lifecycle_status() {
  local name pid state
  lifecycle_must_be_there
  printf '%-26s %-8s %-8s %s\n' DAEMON STATE PID MEMORY
  for name in $(daemon_names); do
    read -r pid _ <"$cluster/daemons/$name"
    if daemon_is_alive "$name"; then
      printf '%-26s %-8s %-8s %s MiB\n' "$name" runs "$pid" "$(awk '$1 == "RssAnon:" { print int($2 / 1024) }' "/proc/$pid/status")"
    else
      printf '%-26s %-8s %-8s\n' "$name" ended "$pid"
    fi
  done
  binaries=$(<"$cluster/binaries")
  kubectl get nodes --request-timeout=5s 2>/dev/null || say "the API server does not answer"
}

# Held until the command ends. The folder itself is the lock; down may have replaced it while we waited.
cluster_lock() {
  while :; do
    mkdir -p "$cluster"
    exec 8<"$cluster"
    flock --nonblock 8 || {
      say "another command works on cluster $cluster_name; waiting for it"
      flock 8
    }
    [[ $(stat -Lc %i /proc/self/fd/8) != "$(stat -c %i "$cluster" 2>/dev/null)" ]] || return 0
  done
}
