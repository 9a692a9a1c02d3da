# shellcheck shell=bash
# Who is who in a cluster: its authority, a certificate for each component, and the kubeconfigs made of them.

identities_create() {
  local nodes=$1 node
  mkdir -p "$cluster/pki"
  identity_key ca
  openssl req -x509 -new -key "$(pki ca.key)" -subj "/CN=kube-booster cluster $cluster_name" -days 3650 -out "$(pki ca.crt)" \
    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign
  identity_key service-accounts
  openssl pkey -in "$(pki service-accounts.key)" -pubout -out "$(pki service-accounts.pub)"

  identity_certificate apiserver /CN=kube-apiserver \
    "IP:$(api_address),IP:127.0.0.1,IP:10.96.0.1,DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local"
  identity_certificate apiserver-to-kubelet /O=system:masters/CN=kube-apiserver-to-kubelet
  identity_kubeconfig admin /O=system:masters/CN=admin
  identity_kubeconfig controller-manager /CN=system:kube-controller-manager
  identity_kubeconfig scheduler /CN=system:kube-scheduler
  identity_kubeconfig proxy /CN=system:kube-proxy
  for ((node = 1; node <= nodes; node++)); do
    identity_kubeconfig "node$node" "/O=system:nodes/CN=system:node:$(node_name "$node")" "IP:$(node_address "$node"),DNS:$(node_name "$node")"
  done
  cp "$(pki admin.kubeconfig)" "$cluster/kubeconfig"
}

pki() { printf '%s/pki/%s' "$cluster" "$1"; }

identity_key() { openssl ecparam -name prime256v1 -genkey -noout -out "$(pki "$1.key")"; }

# identity_certificate FILE SUBJECT [ALTERNATIVE-NAMES]
identity_certificate() {
  identity_key "$1"
  openssl req -new -key "$(pki "$1.key")" -subj "$2" |
    openssl x509 -req -CA "$(pki ca.crt)" -CAkey "$(pki ca.key)" -CAcreateserial -days 3650 -out "$(pki "$1.crt")" -extfile <(
      printf 'basicConstraints=CA:FALSE\nkeyUsage=digitalSignature\nextendedKeyUsage=serverAuth,clientAuth\n'
      [[ -z ${3:-} ]] || printf 'subjectAltName=%s\n' "$3"
    ) 2>/dev/null
}

identity_kubeconfig() {
  identity_certificate "$@"
  cat >"$(pki "$1.kubeconfig")" <<END
apiVersion: v1
kind: Config
clusters:
- name: $cluster_name
  cluster: {server: "https://$(api_address):6443", certificate-authority-data: $(base64 -w0 "$(pki ca.crt)")}
users:
- name: $1
  user: {client-certificate-data: $(base64 -w0 "$(pki "$1.crt")"), client-key-data: $(base64 -w0 "$(pki "$1.key")")}
contexts:
- name: $cluster_name
  context: {cluster: $cluster_name, user: $1}
current-context: $cluster_name
END
}
