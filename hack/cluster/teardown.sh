# shellcheck shell=bash
# Takes away all that a cluster is, however much of it is there.

teardown() {
  local path
  teardown_processes
  ! ip link show "$(namespace)" >/dev/null 2>&1 || ip link delete "$(namespace)"
  while read -r path; do ip netns delete "${path##*/}" 2>/dev/null || rm -f "$path"; done < <(teardown_namespaces)
  while read -r path; do teardown_cgroup "$path"; done < <(teardown_cgroups)
  rm -rf --one-file-system "${host_folder:?}/$cluster_name" "$cluster"/!(logs)
  host_locked host_restore
}

# Each is found in more ways than one, since half of the cluster may be gone.
teardown_processes() {
  local deadline=$((SECONDS + 10))
  local -a processes
  while mapfile -t processes < <(teardown_living) && ((${#processes[@]} > 0)); do
    ((SECONDS < deadline)) || die "these processes of cluster $cluster_name do not end: ${processes[*]}"
    kill -KILL "${processes[@]}" 2>/dev/null || true
    sleep 0.05
  done
}

teardown_living() {
  local path name
  for name in $(daemon_names); do
    ! daemon_is_alive "$name" || cut -d' ' -f1 "$cluster/daemons/$name"
  done
  teardown_shims
  while read -r path; do ip netns pids "${path##*/}"; done < <(teardown_namespaces)
  while read -r path; do find "$path" -name cgroup.procs -exec cat {} + 2>/dev/null; done < <(teardown_cgroups)
}

teardown_shims() {
  local path
  for path in $(grep -lsF -- "$host_folder/$cluster_name/" /proc/[0-9]*/cmdline); do
    [[ $(cat "${path%/cmdline}/comm" 2>/dev/null) != containerd-shim* ]] || basename "${path%/cmdline}"
  done
}

# A cgroup is busy for a moment after its last process.
teardown_cgroup() {
  local deadline=$((SECONDS + 10))
  until find "$1" -depth -type d -exec rmdir {} + 2>/dev/null; do
    ((SECONDS < deadline)) || die "the cgroup $1 cannot be removed"
    sleep 0.05
  done
}

teardown_namespaces() { teardown_names "/run/netns/$(namespace)" /run/netns/"$(namespace)"-node+([0-9]); }
teardown_cgroups() { teardown_names /sys/fs/cgroup/{,*/}"$(namespace)"-node+([0-9]); }
teardown_names() {
  local path
  for path in "$@"; do [[ ! -e $path || -L ${path%/*} ]] || printf '%s\n' "$path"; done
}
