# shellcheck shell=bash
# A node: containerd, the kubelet and kube-proxy in the node's network namespace and with a mount namespace of their own.

containerd_socket() { printf '%s/%s/node%s/containerd.sock' "$host_folder" "$cluster_name" "$1"; }

node_containerd() {
  local node=$1 folder=$cluster/node$1
  mkdir -p "$folder/cni" "$host_folder/$cluster_name/node$node"
  node_network_configuration "$node" >"$folder/cni/10-bridge.conflist"
  node_containerd_configuration "$node" >"$folder/containerd.toml"
  node_cgroups_create "$node"
  daemon_start "node$node-containerd" nsenter --net="/run/netns/$(namespace "$node")" unshare --mount --propagation slave \
    sh "$cluster_sources/node-root.sh" "$folder" "kube-booster/$cluster_name" containerd --config /run/node/containerd.toml
}

node_kubelet() {
  local node=$1 folder=$cluster/node$1
  printf 'nameserver 127.0.0.1\n' >"$folder/resolv.conf"
  node_kubelet_configuration "$node" >"$folder/kubelet.yaml"
  node_proxy_configuration "$node" >"$folder/proxy.yaml"
  node_daemon "$node" kubelet "$binaries/kubelet" --config=/run/node/kubelet.yaml --kubeconfig="$(pki "node$node.kubeconfig")" \
    --hostname-override="$(node_name "$node")" --node-ip="$(node_address "$node")" --root-dir=/run/node/kubelet --cert-dir=/run/node/kubelet/pki
  node_daemon "$node" kube-proxy "$binaries/kube-proxy" --config=/run/node/proxy.yaml
}

# Joins the mount namespace that containerd was started in.
node_daemon() {
  local node=$1 name=$2 containerd
  shift 2
  read -r containerd _ <"$cluster/daemons/node$node-containerd"
  daemon_start "node$node-$name" nsenter --target "$containerd" --net --mount "$@"
}

node_cgroup() { printf 'kb-%s' "$(node_name "$1")"; }

# The kubelet wants its root cgroup to be there: in the one tree of cgroup 2, or in every hierarchy of cgroup 1.
node_cgroups_create() {
  local cgroup hierarchy
  cgroup=$(node_cgroup "$1")
  if cgroup_is_unified; then
    mkdir -p "/sys/fs/cgroup/$cgroup"
    return
  fi
  for hierarchy in /sys/fs/cgroup/*/; do
    [[ ! -e $hierarchy/cgroup.procs || $hierarchy == */unified/ ]] || mkdir -p "$hierarchy/$cgroup"
  done
  if [[ -d /sys/fs/cgroup/cpuset ]]; then
    cat /sys/fs/cgroup/cpuset/cpuset.cpus >"/sys/fs/cgroup/cpuset/$cgroup/cpuset.cpus"
    cat /sys/fs/cgroup/cpuset/cpuset.mems >"/sys/fs/cgroup/cpuset/$cgroup/cpuset.mems"
  fi
}

# Pods have no default route either: what is not of the cluster fails at once.
node_network_configuration() {
  cat <<END
{
  "cniVersion": "0.4.0",
  "name": "kube-booster",
  "plugins": [
    {
      "type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": false, "hairpinMode": true,
      "ipam": {
        "type": "host-local", "dataDir": "/run/node/addresses",
        "ranges": [[{"subnet": "$pod_range.$1.0/24"}]],
        "routes": [{"dst": "$pod_range.0.0/16"}, {"dst": "$service_range"}, {"dst": "$(api_address)/32"}]
      }
    },
    {"type": "portmap", "capabilities": {"portMappings": true}}
  ]
}
END
}

# Without restrict_oom_score_adj, runc fails where the user may not lower a process's OOM score.
node_containerd_configuration() {
  cat <<END
version = 2
root = "/run/node/containerd"
state = "$host_folder/$cluster_name/node$1/containerd"
disabled_plugins = [
  "io.containerd.internal.v1.opt",
  "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs",
  "io.containerd.tracing.processor.v1.otlp",
]

[grpc]
  address = "$(containerd_socket "$1")"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "$pause_image"
  restrict_oom_score_adj = true
  disable_apparmor = true
  stream_server_address = "127.0.0.1"

  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "$(network_plugins)"
    conf_dir = "/run/node/cni"

  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"

    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"

      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
END
}

# Images are never collected: no registry could bring them back.
node_kubelet_configuration() {
  cat <<END
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: $(node_address "$1")
authentication:
  anonymous: {enabled: false}
  webhook: {enabled: true}
  x509: {clientCAFile: "$(pki ca.crt)"}
authorization: {mode: Webhook}
tlsCertFile: "$(pki "node$1.crt")"
tlsPrivateKeyFile: "$(pki "node$1.key")"
containerRuntimeEndpoint: "unix://$(containerd_socket "$1")"
cgroupDriver: cgroupfs
cgroupRoot: "/$(node_cgroup "$1")"
failCgroupV1: false
failSwapOn: false
clusterDNS: [10.96.0.10]
clusterDomain: cluster.local
resolvConf: /run/node/resolv.conf
volumePluginDir: /run/node/volume-plugins
healthzBindAddress: 127.0.0.1
maxPods: 250
serializeImagePulls: false
kubeAPIQPS: 200
kubeAPIBurst: 400
eventRecordQPS: 0
nodeStatusUpdateFrequency: 4s
imageGCHighThresholdPercent: 100
evictionHard: {memory.available: 100Mi, nodefs.available: 1%, nodefs.inodesFree: 1%, imagefs.available: 1%}
END
}

node_proxy_configuration() {
  cat <<END
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: iptables
hostnameOverride: $(node_name "$1")
clusterCIDR: $pod_range.0.0/16
clientConnection: {kubeconfig: "$(pki proxy.kubeconfig)"}
healthzBindAddress: 127.0.0.1:10256
metricsBindAddress: 127.0.0.1:10249
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
END
}
