# shellcheck shell=bash
# The machine under all clusters: what it must offer, and what is changed on it while any cluster runs.

host_folder=/run/kube-booster
host_undo=$host_folder/undo

# The kubelet writes all but the last; each containerd and kubelet takes several inotify instances.
host_settings=(
  vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops kernel/keys/root_maxkeys kernel/keys/root_maxbytes
  fs/inotify/max_user_instances
)

# Each node covers these with folders of its own.
host_mount_points=(/var/lib/cni /var/lib/kubelet)

must_be_root() {
  ((EUID == 0)) || die "$1 needs root: run it with sudo"
}

# room_for PATH MEBIBYTES PURPOSE
room_for() {
  local path=$1 need=$2 purpose=$3 have
  while [[ ! -d $path ]]; do path=$(dirname "$path"); done
  have=$(($(df --output=avail -k "$path" | tail -n1) / 1024))
  ((have >= need)) || die "too little disk for $purpose: it needs $need MiB at $path, and $have MiB are free; make room, or name a folder on another disk by XDG_CACHE_HOME and XDG_STATE_HOME"
}

host_is_able() {
  grep -qw overlay /proc/filesystems || modprobe overlay 2>/dev/null || die "the kernel has no overlayfs (CONFIG_OVERLAY_FS): containers cannot be stored"
  [[ -e /proc/sys/net/bridge ]] || modprobe br_netfilter 2>/dev/null || die "the kernel has no bridge netfilter (CONFIG_BRIDGE_NETFILTER): Services cannot work"
  unshare --net iptables -t nat -L >/dev/null 2>&1 || die "the kernel has no NAT for iptables (CONFIG_NF_NAT): Services cannot work"
  if cgroup_is_unified; then
    host_has_controllers "$(</sys/fs/cgroup/cgroup.controllers)"
  else
    host_has_controllers "$(cd /sys/fs/cgroup && echo *)"
  fi
}

host_has_controllers() {
  local controller
  for controller in cpu cpuset memory pids; do
    [[ " $1 " == *" $controller "* ]] || die "the kernel offers no cgroup controller named $controller: the kubelet cannot start"
  done
}

cgroup_is_unified() { [[ $(stat -fc %T /sys/fs/cgroup) == cgroup2fs ]]; }

# /run is always there, so that its lock leaves nothing behind.
host_locked() {
  (
    exec 9</run
    flock 9
    "$@"
  )
}

# Notes how to put the machine back, then makes it ready. The first cluster does it.
host_prepare() {
  local setting folder range controller
  [[ ! -e $host_undo ]] || return 0
  mkdir -p "$host_folder"
  {
    for setting in "${host_settings[@]}"; do
      [[ ! -e /proc/sys/$setting ]] || printf 'write %s %s\n' "/proc/sys/$setting" "$(</proc/sys/"$setting")"
    done
    mountpoint -q /run/netns || printf 'unmount /run/netns\n'
    for folder in /run/netns /run/mount "${host_mount_points[@]}"; do
      [[ -d $folder ]] || printf 'remove %s\n' "$folder"
    done
    for range in $(host_stray_ranges); do printf 'unroute %s\n' "$range"; done
    if cgroup_is_unified; then
      for controller in $(host_missing_controllers); do printf 'write /sys/fs/cgroup/cgroup.subtree_control -%s\n' "$controller"; done
    fi
  } >"$host_undo.part"
  mv "$host_undo.part" "$host_undo"

  mkdir -p "${host_mount_points[@]}"
  for range in $(host_stray_ranges); do ip route add unreachable "$range"; done
  (($(</proc/sys/fs/inotify/max_user_instances) >= 1024)) || echo 1024 >/proc/sys/fs/inotify/max_user_instances
  if cgroup_is_unified; then
    for controller in $(host_missing_controllers); do echo "+$controller" >/sys/fs/cgroup/cgroup.subtree_control; done
  fi
}

# What is sent from the host to a Service or a pod by mistake must fail, not leave the machine by the default route.
host_stray_ranges() {
  local range
  for range in "$service_range" "$pod_range.0.0/16"; do
    ip -4 route show match "$range" | grep -qv '^default' || printf '%s\n' "$range"
  done
}

host_missing_controllers() {
  local controller
  for controller in $(</sys/fs/cgroup/cgroup.controllers); do
    [[ " $(</sys/fs/cgroup/cgroup.subtree_control) " == *" $controller "* ]] || printf '%s\n' "$controller"
  done
}

# Puts the machine back when no cluster is left on it.
host_restore() {
  local verb path value
  local -a running=("$host_folder"/*/)
  [[ -e $host_undo && ${#running[@]} == 0 ]] || return 0
  while read -r verb path value; do
    case $verb in
      write) echo "$value" >"$path" 2>/dev/null || say "could not set $path back to $value" ;;
      unmount) if mountpoint -q "$path" && [[ -z $(ls -A "$path") ]]; then umount "$path"; fi ;;
      unroute) ip route delete unreachable "$path" 2>/dev/null || true ;;
      remove) rmdir "$path" 2>/dev/null || true ;;
    esac
  done <"$host_undo"
  rm -f "$host_undo"
  rmdir "$host_folder"
}
