#!/usr/bin/env bash
# shellcheck source-path=SCRIPTDIR
# Two copies of one shop on a real cluster, one of them warmed before its first user: what do the first users see?
set -euo pipefail
shopt -s inherit_errexit
umask 022

hack=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=${hack%/*}
folder=$root/target/demo
log=$folder/log
namespace=kube-booster-demo
registry=${REGISTRY:-localhost/kube-booster}
tag=${TAG:-$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' "$root/Cargo.toml")}
users="--rate=100 --duration=6s --paths=/,/search?q=copper+kettle,/product/42,/report"
forward=
lengthy=
deployed=
. "$hack/cluster/message.sh"
. "$hack/client.sh"

usage() {
  cat <<END
usage: $0 up|down

  up     a cluster on this machine (or the one of KUBECONFIG), kube-booster, a cold and a warmed copy of a shop, users
  down   takes all of it away
END
}

main() {
  case ${1:-} in
    up) up ;;
    down) down ;;
    *) usage >&2 && exit 2 ;;
  esac
}

up() {
  mkdir -p "$folder"
  : >"$log"
  trap finish EXIT
  trap 'exit 130' INT TERM
  prerequisites
  printf '%s\n\n' "$(bold "Two copies of one shop: what do the first users see, without and with kube-booster?")"
  cluster
  images
  step "kube-booster"
  deployed=yes
  quietly "$hack/deploy.sh" "$registry/control-plane:$tag" "$registry/sidecar:$tag"
  step "two shops, closed"
  made kubectl create namespace "$namespace"
  quietly kubectl --namespace "$namespace" delete deployments,jobs --all --cascade=foreground --timeout=60s
  shop cold
  shop warm
  # One after the other: on a small machine they would disturb each other.
  users_see cold
  users_see warm
  printf '\n'
  "$hack/demo/table.py" "$folder/cold" "$folder/warm"
  told
  next
}

prerequisites() {
  local purpose=(images)
  [[ -n ${KUBECONFIG:-} ]] || purpose+=(cluster)
  "$hack/prerequisites.sh" "${purpose[@]}"
}

cluster() {
  if [[ -n ${KUBECONFIG:-} ]]; then
    step "the cluster of KUBECONFIG"
  else
    step "a cluster on this machine (its first build takes some minutes)"
    lengthily "$hack/cluster.sh" up
    KUBECONFIG=$("$hack/cluster.sh" kubeconfig)
  fi
  client_choose
  client_is_new_enough
}

images() {
  step "images (their first build takes some minutes)"
  lengthily "$hack/images.sh" --registry "$registry" --tag "$tag"
  if client_is_local; then
    quietly "$hack/cluster.sh" load "$root"/target/images/{control-plane,sidecar,demo-app}.tar
  else
    step "this cluster must know $registry/{control-plane,sidecar,demo-app}:$tag"
  fi
}

# shop TEMPERATURE: the sample under another name, and without annotations where it is to be cold.
shop() {
  local name=demo-$1 annotations=
  [[ $1 == warm ]] || annotations=', {"op": "remove", "path": "/spec/template/metadata/annotations"}'
  mkdir -p "$folder/$1"
  cat >"$folder/$1/kustomization.yaml" <<END
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: $namespace
resources: [../../../manifests/samples/demo-app]
labels:
- pairs: {app: $name}
  includeSelectors: true
images:
- name: kube-booster/demo-app
  newName: $registry/demo-app
  newTag: "$tag"
patches:
- target: {name: shop}
  patch: '[{"op": "replace", "path": "/metadata/name", "value": "$name"}]'
- target: {kind: Deployment}
  patch: '[{"op": "replace", "path": "/spec/replicas", "value": 0}$annotations]'
END
  quietly kubectl apply --kustomize "$folder/$1"
}

users_of() {
  cat <<END
apiVersion: batch/v1
kind: Job
metadata:
  name: users-$1
  namespace: $namespace
spec:
  backoffLimit: 0
  template:
    metadata:
      labels: {app: users-$1}
    spec:
      restartPolicy: Never
      securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
      containers:
      - name: users
        image: $registry/demo-app:$tag
        args: [users, --label=$1, "--url=http://demo-$1", $(sed 's/[^ ]*/"&"/g; s/ /, /g' <<<"$users")]
        securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}, readOnlyRootFilesystem: true}
END
}

# Users wait before the shop starts, so that the very first request after its endpoint appears is measured.
users_see() {
  local temperature=$1 job=users-$1
  users_of "$temperature" | quietly kubectl apply --filename -
  patiently 60 "the users of demo-$temperature" users_wait "$job"
  step "demo-$temperature opens, and users are at the door"
  date +%s.%N >"$folder/$temperature/asked"
  quietly kubectl --namespace "$namespace" scale "deployment/demo-$temperature" --replicas=1
  patiently 120 "the users of demo-$temperature" users_end "$job"
  kubectl --namespace "$namespace" logs "job/$job" | grep '^{' >"$folder/$temperature/users.json"
}

users_wait() { [[ $(job "$1" '{.status.ready}') == 1 ]]; }

users_end() {
  local status
  status=$(job "$1" '{.status.conditions[*].type}')
  [[ $status != *Failed* ]] || die "the users ended badly: $(kubectl --namespace "$namespace" logs "job/$1" --tail=5)"
  [[ $status == *Complete* ]]
}

job() { kubectl --namespace "$namespace" get job "$1" --output "jsonpath=$2"; }

# What the warmed pod says about itself, in three ways.
told() {
  pod=$(kubectl --namespace "$namespace" get pods --selector app=demo-warm --output 'jsonpath={.items[0].metadata.name}')
  heading "Its condition (kubectl get pod)"
  kubectl --namespace "$namespace" get pod "$pod" --output \
    'jsonpath={range .status.conditions[?(@.type=="kube-booster.io/warmup-ready")]}{.reason}: {.message}{"\n"}{end}' | indent
  heading "Its events (kubectl describe pod)"
  kubectl --namespace "$namespace" describe pod "$pod" | sed -n '/^Events:/,$p' |
    awk '/^  (Type|----) / || /  kube-booster  /' | sed 's/^ *//' | indent
  heading "Its report (gRPC)"
  report | indent
}

report() {
  local grpcurl port token ca=$folder/ca.crt
  grpcurl=$(grpcurl_program) || {
    printf 'grpcurl is missing: install it to ask for reports\n'
    return
  }
  made kubectl --namespace "$namespace" create serviceaccount viewer
  made kubectl --namespace "$namespace" create rolebinding viewer --clusterrole=kube-booster-report-viewer \
    --serviceaccount="$namespace:viewer"
  kubectl --namespace kube-booster-system get configmap kube-booster-ca --output 'jsonpath={.data.ca\.crt}' >"$ca"
  token=$(kubectl --namespace "$namespace" create token viewer --audience kube-booster.io)
  kubectl --namespace kube-booster-system port-forward service/kube-booster-reports :9090 >"$folder/forward" 2>>"$log" &
  forward=$!
  patiently 20 "the port-forward" grep -q '^Forwarding from' "$folder/forward"
  port=$(sed -n '1s/.*:\([0-9]*\) ->.*/\1/p' "$folder/forward")
  "$grpcurl" -max-time 10 -cacert "$ca" -H "authorization: Bearer $token" \
    -d "{\"namespace\": \"$namespace\", \"name\": \"$pod\"}" "localhost:$port" kube_booster.v1.ReportService/GetReport
  kill "$forward"
  forward=
}

grpcurl_program() {
  type -P grpcurl || { command -v go >/dev/null && printf '%s/grpcurl\n' "$("$hack/cluster.sh" binaries)"; }
}

next() {
  heading "Try next"
  {
    printf 'export KUBECONFIG=%s\n' "$KUBECONFIG"
    { type -P kubectl && type -P grpcurl; } >/dev/null ||
      printf 'export PATH=%s:$%s\n' "$("$hack/cluster.sh" binaries)" PATH
    cat <<END
kubectl -n $namespace logs deployment/demo-cold    # the shop's own curve, from its first request on
kubectl -n $namespace logs deployment/demo-warm    # the same of the warmed one
kubectl -n $namespace scale deployment/demo-warm --replicas=3; kubectl -n $namespace get pods -o wide --watch
kubectl -n $namespace get pod $pod -o yaml

kubectl -n kube-booster-system get configmap kube-booster-ca -o 'jsonpath={.data.ca\.crt}' > /tmp/kube-booster-ca.crt
kubectl -n kube-booster-system port-forward service/kube-booster-reports 9090 > /dev/null &
grpcurl -cacert /tmp/kube-booster-ca.crt -d '{"namespace": "$namespace"}' \\
  -H "authorization: Bearer \$(kubectl -n $namespace create token viewer --audience kube-booster.io)" \\
  localhost:9090 kube_booster.v1.ReportService/ListReports

make demo-down    # takes everything away
END
  } | indent
}

down() {
  if [[ -z ${KUBECONFIG:-} || $KUBECONFIG == "$(client_local)" ]]; then
    "$hack/cluster.sh" down
  else
    client_choose
    kubectl delete namespace "$namespace" --ignore-not-found --timeout=120s
    "$hack/undeploy.sh"
  fi
  rm -rf "$folder"
}

# patiently SECONDS WHAT COMMAND…
patiently() {
  local deadline=$((SECONDS + $1)) what=$2
  shift 2
  until "$@"; do
    ((SECONDS < deadline)) || die "waited in vain for $what"
    sleep 0.2
  done
}

quietly() { "$@" >>"$log" 2>&1; }

# made KUBECTL create …: from an earlier demo it may be there.
made() { "$@" --dry-run=client --output yaml | quietly kubectl apply --filename -; }

# As quietly, and on a terminal with the last line of what it does.
lengthily() {
  # In a process group of its own, which ends as a whole when the demo is interrupted.
  set -m
  "$@" </dev/null >>"$log" 2>&1 &
  lengthy=$!
  set +m
  while kill -0 "$lengthy" 2>/dev/null; do
    progress "$(tail -n 1 "$log" | tr -cd '[:print:]')"
    sleep 0.3
  done
  progress ''
  wait "$lengthy"
  lengthy=
}

progress() { [[ ! -t 1 ]] || printf '\r\e[K\e[2m%s\e[0m' "${1:+$(printf '%3d:%02d  … %.60s' $((SECONDS / 60)) $((SECONDS % 60)) "$1")}"; }

step() { printf '%3d:%02d  %s\n' $((SECONDS / 60)) $((SECONDS % 60)) "$1"; }

heading() { printf '\n%s\n' "$(bold "$1")"; }

bold() { if [[ -t 1 ]]; then printf '\e[1m%s\e[0m' "$1"; else printf '%s' "$1"; fi; }

indent() { sed 's/^./  &/'; }

finish() {
  local status=$?
  trap - EXIT
  progress ''
  [[ -z $forward ]] || kill "$forward" 2>/dev/null || true
  [[ -z $lengthy ]] || kill -- "-$lengthy" 2>/dev/null || true
  case $status in
    0) ;;
    130) say "interrupted; 'make demo-down' takes away what there is" ;;
    *) why ;;
  esac
  exit "$status"
}

why() {
  {
    [[ -z $deployed ]] || state
    printf '\nthe demo failed; the end of %s:\n' "$log"
    tail -n 20 "$log" | indent
  } >&2
}

state() {
  {
    printf '\npods:\n'
    kubectl get pods --all-namespaces --output wide | grep -v kube-system | indent
    printf 'events:\n'
    kubectl --namespace "$namespace" get events --sort-by=.metadata.creationTimestamp | tail -n 10 | indent
    printf 'control plane:\n'
    kubectl --namespace kube-booster-system logs --selector app.kubernetes.io/name=kube-booster --prefix --tail=10 | indent
  } 2>&1 || true
}

main "$@"
