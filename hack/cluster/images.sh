# shellcheck shell=bash
# Images on the nodes: brought there from archives, since a cluster reaches no registry.

pause_image=kube-booster.local/cluster/pause:1
coredns_image=kube-booster.local/cluster/coredns:1

# The archives of the cluster's own images, made beside the programs that are in them.
images_build() {
  image_build "$pause_image" pause --user 65535
  image_build "$coredns_image" coredns
}

image_build() {
  local name=$1 program=$2 script=$cluster_sources/../image.py
  shift 2
  [[ $binaries/$program.tar -nt $script ]] ||
    "$script" "$name" "$binaries/$program.tar" --file "$binaries/$program=/$program" --entrypoint "/$program" "$@" >/dev/null
}

# images_import NODE ARCHIVE…
images_import() {
  local node=$1 archive
  shift
  for archive in "$@"; do
    containerd_client "$node" images import --digests=false "$archive" >/dev/null || die "could not import $archive into $(node_name "$node")"
  done
  images_are_known "$node"
}

# The kubelet sees an image a moment after its import, when containerd has put this label on it.
images_are_known() {
  local deadline=$((SECONDS + 10))
  while containerd_client "$1" images list | grep -v '^REF ' | grep -qv 'io.cri-containerd.image=managed'; do
    ((SECONDS < deadline)) || die "containerd of $(node_name "$1") does not show its images to the kubelet"
    sleep 0.05
  done
}

containerd_client() {
  local node=$1
  shift
  ctr --address "$(containerd_socket "$node")" --namespace k8s.io "$@"
}
