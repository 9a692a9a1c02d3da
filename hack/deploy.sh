#!/usr/bin/env bash
# shellcheck source-path=SCRIPTDIR
# Brings kube-booster to a cluster and waits until it serves.
set -euo pipefail
shopt -s inherit_errexit
umask 022

hack=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=${hack%/*}
. "$hack/cluster/message.sh"
. "$hack/client.sh"

usage() {
  cat <<END
Brings kube-booster to the cluster of KUBECONFIG, else to the one that 'make cluster-up' started here.

usage: $0 CONTROL-PLANE-IMAGE SIDECAR-IMAGE [OVERLAY]

  OVERLAY   a folder of manifests/overlays, such as cert-dir (none: manifests/base)

FALLBACK_IMG names the image that takes a sidecar's place where that cannot run; without it, the nodes' pause image.
END
}

main() {
  [[ ${1:-} != -h && ${1:-} != --help ]] || { usage && exit; }
  (($# == 2 || $# == 3)) || { usage >&2 && exit 2; }
  client_choose
  client_is_new_enough
  fallback=${FALLBACK_IMG:-$(pause_image)}
  [[ -n $fallback ]] || say "the nodes do not name their pause image: set FALLBACK_IMG, or a sidecar that cannot be pulled holds its pod"
  say "deploying to $(kubectl config current-context) of $KUBECONFIG"
  overlay "$@" >"$(overlay_folder)/kustomization.yaml"
  namespace=$(own_namespace)
  kubectl apply --server-side --force-conflicts --field-manager=kube-booster-deploy --kustomize "$(overlay_folder)" >/dev/null
  kubectl --namespace "$namespace" rollout status deployment/kube-booster --timeout="$(patience)" >&2 || explain "$1"
  injects
  hint
}

overlay_folder() {
  mkdir -p "$root/target/deploy"
  printf '%s\n' "$root/target/deploy"
}

overlay() {
  local control_plane=$1 sidecar=$2 manifests=base
  [[ -z ${3:-} ]] || manifests=overlays/$3
  [[ -d $root/manifests/$manifests ]] || die "there is no folder manifests/$manifests"
  cat <<END
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [../../manifests/$manifests]
patches:
- target:
    kind: Deployment
    name: kube-booster
  patch: |-
    apiVersion: apps/v1
    kind: Deployment
    metadata:
      name: kube-booster
    spec:
      template:
        spec:
          containers:
          - name: control-plane
            image: $control_plane
            env:
            - name: SIDECAR_IMAGE
              value: $sidecar
            - name: FALLBACK_IMAGE
              value: "$fallback"
END
}

# An overlay may have renamed it.
own_namespace() {
  local name
  name=$(kubectl kustomize "$(overlay_folder)" | awk '/^kind: / { kind = $2 } kind == "Namespace" && /^  name: / { print $2 }')
  printf '%s\n' "${name:?the manifests hold no namespace}"
}

# Every pod on a node begins with its pause image, so that one that all nodes name needs no registry.
# Nodes name their largest images only, fifty by default: this one may be missing.
pause_image() {
  local nodes
  nodes=$(kubectl get nodes --output name | wc -l)
  kubectl get nodes --output go-template='
{{- range .items}}{{range .status.images}}{{range .names}}{{.}}{{"\n"}}{{end}}{{end}}{{end}}' |
    awk -v nodes="$nodes" '/(^|[\/-])pause:[^@]+$/ && ++count[$0] == nodes && !found { found = $0 } END { print found }'
}

# On this machine's cluster images are there, or never will be.
patience() { if client_is_local; then printf 30s; else printf 180s; fi; }

explain() {
  kubectl --namespace "$namespace" get pods >&2 || true
  kubectl --namespace "$namespace" get events --sort-by=.lastTimestamp 2>/dev/null | tail -n 8 >&2 || true
  kubectl --namespace "$namespace" logs --selector app.kubernetes.io/name=kube-booster --prefix --tail=15 >&2 || true
  ! client_is_local || say "images come to this machine's cluster by 'make images cluster-load'"
  die "kube-booster with image $1 did not become ready"
}

# A dry run says whether the API server calls us: it learns of the webhook a moment after it is ready.
injects() {
  local deadline=$((SECONDS + 20)) gates
  while gates=$(probe_pod | kubectl create --dry-run=server --output 'jsonpath={.spec.readinessGates}' --filename - 2>&1) &&
    [[ $gates != *kube-booster.io/warmup-ready* ]]; do
    ((SECONDS < deadline)) || die "kube-booster is ready, but the API server does not reach its webhook: can it connect to pods?"
    sleep 0.5
  done
  [[ $gates == *kube-booster.io/warmup-ready* ]] || say "could not try an injection: $gates"
}

probe_pod() {
  cat <<'END'
apiVersion: v1
kind: Pod
metadata:
  name: kube-booster-probe
  namespace: default
  annotations:
    kube-booster.io/warmup: enabled
spec:
  securityContext:
    runAsNonRoot: true
    runAsUser: 65532
    seccompProfile:
      type: RuntimeDefault
  containers:
  - name: app
    image: kube-booster/probe
    ports:
    - containerPort: 8080
    securityContext:
      allowPrivilegeEscalation: false
      capabilities:
        drop: [ALL]
END
}

hint() {
  cat <<END
kube-booster is ready. Next: annotate pods (in a Deployment, under spec.template.metadata.annotations)

  kube-booster.io/warmup: enabled

or see it work on a sample: make deploy-sample
END
}

main "$@"
