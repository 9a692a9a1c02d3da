#!/usr/bin/env bash
# shellcheck source-path=SCRIPTDIR
# Makes a CA and a certificate for those who do not want the control plane to make its own.
set -euo pipefail
shopt -s inherit_errexit
umask 077

hack=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=${hack%/*}
namespace=kube-booster-system
configuration=zz-kube-booster
. "$hack/cluster/message.sh"
. "$hack/client.sh"

usage() {
  cat <<END
Makes ca.crt, ca.key, tls.crt and tls.key in FOLDER (certs), and brings them to the cluster of KUBECONFIG, if there is one.
A CA that is there already is used again.

usage: $0 [FOLDER]

Serve with them by 'make deploy OVERLAY=cert-dir'.
END
}

main() {
  [[ ${1:-} != -h && ${1:-} != --help ]] || { usage && exit; }
  [[ ${1:-} != -* ]] || { usage >&2 && exit 2; }
  local folder=${1:-$root/certs}
  "$hack/prerequisites.sh" certificates
  mkdir -p "$folder"
  [[ -s $folder/ca.key && -s $folder/ca.crt ]] || make_ca "$folder"
  make_certificate "$folder"
  say "certificates are in $folder"
  if (client_choose) 2>/dev/null; then
    client_choose
    bring "$folder"
  else
    say "no cluster answers: nothing was brought to one; run this again when one is up"
  fi
  say "next: make deploy OVERLAY=cert-dir"
  say "the CA bundle, in base64, as a webhook configuration's caBundle has it:"
  base64 --wrap=0 "$folder/ca.crt"
  printf '\n'
}

make_ca() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days 3650 -subj "/CN=kube-booster CA" \
    -addext basicConstraints=critical,CA:TRUE,pathlen:0 -addext keyUsage=critical,keyCertSign,cRLSign \
    -keyout "$1/ca.key" -out "$1/ca.crt" 2>/dev/null
}

make_certificate() {
  local folder=$1
  openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -subj "/CN=kube-booster" \
    -keyout "$folder/tls.key" -out "$folder/tls.csr" 2>/dev/null
  openssl x509 -req -in "$folder/tls.csr" -CA "$folder/ca.crt" -CAkey "$folder/ca.key" -days 365 -out "$folder/tls.crt" \
    -extfile <(
      printf '%s\n' basicConstraints=critical,CA:FALSE keyUsage=critical,digitalSignature extendedKeyUsage=serverAuth
      printf 'subjectAltName=%s\n' "$(names)"
    ) 2>/dev/null
  rm "$folder/tls.csr"
}

# The names that the control plane puts into certificates of its own.
names() {
  local service
  for service in kube-booster-webhook kube-booster-reports; do
    printf 'DNS:%s,' "$service.$namespace.svc" "$service.$namespace.svc.cluster.local"
  done
  printf 'DNS:localhost,IP:127.0.0.1,IP:::1'
}

bring() {
  local folder=$1
  apply --filename "$root/manifests/base/namespace.yaml"
  kubectl --namespace "$namespace" create secret generic kube-booster-certs --dry-run=client --output yaml \
    --from-file "$folder/tls.crt" --from-file "$folder/tls.key" --from-file "$folder/ca.crt" | apply --filename -
  kubectl --namespace "$namespace" create configmap kube-booster-ca --dry-run=client --output yaml \
    --from-file "$folder/ca.crt" | apply --filename -
  say "Secret kube-booster-certs and ConfigMap kube-booster-ca are in namespace $namespace"
  if kubectl get mutatingwebhookconfiguration "$configuration" >/dev/null 2>&1; then trust "$folder"; fi
}

apply() { kubectl apply --server-side --force-conflicts --field-manager=kube-booster-deploy "$@" >/dev/null; }

# Beside the CA of what serves now: until the control plane serves with these files, both are needed.
trust() {
  local now bundle
  bundle=$(<"$1/ca.crt")
  now=$(kubectl get mutatingwebhookconfiguration "$configuration" --output 'jsonpath={.webhooks[0].clientConfig.caBundle}' | base64 --decode)
  if [[ $now == *"$bundle"* ]]; then return; fi
  bundle+=$'\n'$now
  kubectl patch mutatingwebhookconfiguration "$configuration" --type=json --patch \
    "[{\"op\": \"add\", \"path\": \"/webhooks/0/clientConfig/caBundle\", \"value\": \"$(base64 --wrap=0 <<<"$bundle")\"}]" >/dev/null
  say "MutatingWebhookConfiguration $configuration trusts the CA"
}

main "$@"
