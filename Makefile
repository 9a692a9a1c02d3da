SHELL := bash
.DEFAULT_GOAL := help

VERSION := $(shell sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)
# Where images are named; localhost needs no registry.
REGISTRY ?= localhost/kube-booster
TAG ?= $(VERSION)
IMG ?= $(REGISTRY)/control-plane:$(TAG)
SIDECAR_IMG ?= $(REGISTRY)/sidecar:$(TAG)
DEMO_APP_IMG ?= $(REGISTRY)/demo-app:$(TAG)
# What takes a sidecar's place where that cannot run, or the nodes' pause image.
FALLBACK_IMG ?=
# A folder of manifests/overlays, or none.
OVERLAY ?=
# A folder of manifests/samples, or what suits the cluster.
SAMPLE ?=
# For each fuzz target.
FUZZ_SECONDS ?= 30
# A benchmark, how many waiting pods scale goes up to, and how often jvm starts each app.
BENCH ?=
PODS ?= 10000
STARTS ?= 5

# What Docker builds for, such as linux/amd64,linux/arm64.
PLATFORMS ?=

export REGISTRY TAG IMG SIDECAR_IMG DEMO_APP_IMG FALLBACK_IMG PLATFORMS

##@ Code

build: ## Compile everything
	cargo build --workspace

test: ## Run all tests, with a real cluster where this machine allows one
	hack/test.sh

lint: ## Check the format, then clippy and shellcheck, warnings denied
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- --deny warnings
	if command -v shellcheck >/dev/null; then shellcheck --external-sources hack/*.sh; fi

fmt: ## Format the code
	cargo fmt --all

fuzz: ## Fuzz what comes from outside, each target for FUZZ_SECONDS; needs a nightly compiler and cargo-fuzz
	@hack/fuzz.sh $(FUZZ_SECONDS)

images: ## Build the images as archives in target/images (REGISTRY, TAG)
	@hack/images.sh --registry $(REGISTRY) --tag $(TAG)

docker-build: ## Build the images by Docker instead (IMG, SIDECAR_IMG, PLATFORMS)
	@hack/docker.sh build $(IMG) $(SIDECAR_IMG)

docker-push: ## Build them and push them to a registry (IMG, SIDECAR_IMG, PLATFORMS)
	@hack/docker.sh push $(IMG) $(SIDECAR_IMG)

bench: ## Measure (BENCH=scale with PODS, sidecar, webhook, or jvm with STARTS)
	@hack/bench.sh "$(BENCH)" $(if $(filter jvm,$(BENCH)),$(STARTS),$(PODS))

dashboard: ## Draw the dashboards with real data in target/dashboard; needs Debian's package prometheus
	@hack/dashboard.sh

##@ A cluster on this machine

cluster-up: ## Start a cluster, without a container engine
	@hack/cluster.sh up

cluster-down: ## Take it away
	@hack/cluster.sh down

cluster-load: ## Bring the images to it
	@hack/cluster.sh load target/images/{control-plane,sidecar,demo-app}.tar

##@ Any cluster: KUBECONFIG, else the one on this machine

deploy: ## Bring kube-booster to the cluster and wait until it serves (IMG, SIDECAR_IMG, FALLBACK_IMG, OVERLAY)
	@hack/deploy.sh $(IMG) $(SIDECAR_IMG) $(OVERLAY)

undeploy: ## Release every gated pod, then take kube-booster away
	@hack/undeploy.sh

deploy-sample: ## Bring an annotated app and wait until it is warm (SAMPLE=demo-app or nginx)
	@hack/sample.sh up "$(SAMPLE)" $(DEMO_APP_IMG)

undeploy-sample: ## Take the app away
	@hack/sample.sh down "$(SAMPLE)" $(DEMO_APP_IMG)

generate-certs: ## Make a CA and a certificate in certs/ and bring them to the cluster, for OVERLAY=cert-dir
	@hack/generate_certs.sh

##@ See it work

demo: ## From nothing to a warmed pod beside a cold one, measured
	@hack/demo.sh up

demo-down: ## Take everything of the demo away
	@hack/demo.sh down

help: ## This list
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@ / { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build test lint fmt fuzz images docker-build docker-push bench dashboard cluster-up cluster-down cluster-load deploy undeploy \
  deploy-sample undeploy-sample generate-certs demo demo-down help
# They work on one cluster and one target folder.
.NOTPARALLEL:
