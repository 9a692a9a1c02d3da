# shellcheck shell=bash
# etcd, the API server, the controllers and the scheduler.

control_plane_start() {
  daemon_start etcd nsenter --net="/run/netns/$(namespace)" "$binaries/etcd" \
    --data-dir="$cluster/etcd" --unsafe-no-fsync --log-level=warn \
    --listen-client-urls=http://127.0.0.1:2379 --advertise-client-urls=http://127.0.0.1:2379 --listen-peer-urls=http://127.0.0.1:2380
  daemon_start kube-apiserver nsenter --net="/run/netns/$(namespace)" "$binaries/kube-apiserver" \
    --etcd-servers=http://127.0.0.1:2379 \
    --bind-address=0.0.0.0 --advertise-address="$(api_address)" --secure-port=6443 \
    --tls-cert-file="$(pki apiserver.crt)" --tls-private-key-file="$(pki apiserver.key)" --client-ca-file="$(pki ca.crt)" \
    --service-cluster-ip-range="$service_range" \
    --service-account-issuer=https://kubernetes.default.svc.cluster.local \
    --service-account-key-file="$(pki service-accounts.pub)" --service-account-signing-key-file="$(pki service-accounts.key)" \
    --kubelet-preferred-address-types=InternalIP,Hostname --kubelet-certificate-authority="$(pki ca.crt)" \
    --kubelet-client-certificate="$(pki apiserver-to-kubelet.crt)" --kubelet-client-key="$(pki apiserver-to-kubelet.key)" \
    --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction --allow-privileged=true \
    --enable-aggregator-routing=true
}

# Started once the API server answers: before that they end.
control_plane_controllers() {
  daemon_start kube-controller-manager nsenter --net="/run/netns/$(namespace)" "$binaries/kube-controller-manager" \
    --kubeconfig="$(pki controller-manager.kubeconfig)" --bind-address=127.0.0.1 --leader-elect=false \
    --use-service-account-credentials=true --service-account-private-key-file="$(pki service-accounts.key)" --root-ca-file="$(pki ca.crt)" \
    --cluster-signing-cert-file="$(pki ca.crt)" --cluster-signing-key-file="$(pki ca.key)" \
    --allocate-node-cidrs=false --kube-api-qps=500 --kube-api-burst=1000
  daemon_start kube-scheduler nsenter --net="/run/netns/$(namespace)" "$binaries/kube-scheduler" \
    --kubeconfig="$(pki scheduler.kubeconfig)" --bind-address=127.0.0.1 --leader-elect=false --kube-api-qps=500 --kube-api-burst=1000
}

kubectl() {
  env -i PATH="$PATH" HOME=/ KUBECONFIG="$cluster/kubeconfig" "$binaries/kubectl" --cache-dir="$cluster/kubectl" "$@"
}
