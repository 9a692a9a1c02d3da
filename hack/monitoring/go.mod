// Nothing is compiled here: these modules hold the kinds of the Prometheus Operator and of the vertical pod autoscaler
// as manifests, by which the tests judge ours.
module kube-booster/hack/monitoring

go 1.26.0

require (
	github.com/prometheus-operator/prometheus-operator v0.85.0
	k8s.io/autoscaler/vertical-pod-autoscaler v1.8.1
)
