# shellcheck shell=bash
# The network of a cluster: a namespace with the bridge and the control plane, one more for each node, one cable to the host.
# None of them has a default route, so nothing that runs in a cluster can reach beyond it.

service_range=10.96.0.0/16
pod_range=10.244

namespace() { printf 'kb-%s%s' "$cluster_name" "${1:+-node$1}"; }
inside() {
  local node=$1
  shift
  nsenter --net="/run/netns/$(namespace "$node")" "$@"
}

api_address() { printf '10.99.%s.1' "$(<"$cluster/subnet")"; }
node_address() { printf '10.99.%s.%s' "$(<"$cluster/subnet")" $((10 + $1)); }
node_name() { printf '%s-node%s' "$cluster_name" "$1"; }

network_create() {
  local nodes=$1 node subnet
  subnet=$(network_free_subnet)
  printf '%s\n' "$subnet" >"$cluster/subnet"

  ip netns add "$(namespace)"
  inside '' ip link set lo up
  inside '' ip link add bridge type bridge
  inside '' ip address add "10.99.$subnet.1/24" dev bridge
  inside '' ip link set bridge up
  ip link add "$(namespace)" type veth peer name host netns "$(namespace)"
  inside '' ip link set host master bridge up
  ip address add "10.99.$subnet.254/24" dev "$(namespace)"
  ip link set "$(namespace)" up
  for ((node = 1; node <= nodes; node++)); do network_add_node "$node" "$nodes"; done
}

network_free_subnet() {
  local subnet taken
  taken=$(ip -4 route show table all)
  for ((subnet = 0; subnet < 255; subnet++)); do
    [[ $taken == *"10.99.$subnet."* ]] || {
      printf '%s\n' "$subnet"
      return
    }
  done
  die "no network of 10.99.0.0/16 is free: run '$0 list', and take down what is not needed"
}

network_add_node() {
  local node=$1 nodes=$2 other
  ip netns add "$(namespace "$node")"
  ip -n "$(namespace)" link add "node$node" type veth peer name eth0 netns "$(namespace "$node")"
  inside '' ip link set "node$node" master bridge up
  inside '' ip route add "$pod_range.$node.0/24" via "$(node_address "$node")" dev bridge
  inside "$node" ip link set lo up
  inside "$node" ip address add "$(node_address "$node")/24" dev eth0
  inside "$node" ip link set eth0 up
  # A connection needs a route before kube-proxy's rules can send it to a pod.
  inside "$node" ip route add "$service_range" via "$(api_address)"
  for ((other = 1; other <= nodes; other++)); do
    ((other == node)) || inside "$node" ip route add "$pod_range.$other.0/24" via "$(node_address "$other")"
  done
  inside "$node" sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/bridge/bridge-nf-call-iptables'
}
