# shellcheck shell=bash
# The machine under all clusters: what it must offer, and what is changed on it for as long as any cluster runs.

host_folder=/run/kube-booster
host_undo=$host_folder/undo

# room_for PATH MEBIBYTES PURPOSE
room_for() {
  local path=$1 need=$2 purpose=$3 have
  while [[ ! -d $path ]]; do path=$(dirname "$path"); done
  have=$(($(df --output=avail -k "$path" | tail -n1) / 1024))
  ((have >= need)) || die "too little disk for $purpose: it needs $need MiB at $path, and $have MiB are free; make room, or name a folder on another disk by XDG_CACHE_HOME and XDG_STATE_HOME"
}
