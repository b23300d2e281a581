# `make` lists what there is. Needed are Go, git, make and a C compiler (for the race detector); every tool comes from a
# go.mod. Say `make test V=1` to see the commands.

MAKEFLAGS += --no-builtin-rules
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
ifndef V
.SILENT:
endif

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null)
COMMIT ?= $(shell git rev-parse HEAD 2>/dev/null)
FUZZTIME ?= 5s
CONTROLLER_GEN = go tool -modfile=test/tools/controllergen/go.mod controller-gen
GOLANGCI_LINT = go tool -modfile=test/tools/golangcilint/go.mod golangci-lint
TALLY = $(CURDIR)/bin/tally
# Without vet, which is among what lint does.
GO_TEST = $(TALLY) go -vet=off

# Modules of their own: what they need must not reach what uses Sluice.
MODULES = test/certmanager test/controlplane test/install test/schemagen

# What `make deploy` applies, and with what: an overlay of config; then a profile, or observe or observe/baseline; the image,
# where it is not the overlay's. Without a kubectl in the path, that of the control plane is used.
OVERLAY ?= default
PROFILE ?=
IMAGE ?=
KUBECTL ?= kubectl
FIND_KUBECTL = kubectl=$$(command -v $(KUBECTL) || echo "$$(go -C test/controlplane run .)/kubectl")
RENDER = "$$kubectl" kustomize config/$(OVERLAY) $(if $(IMAGE),| awk -v image='$(IMAGE)' '$(SET_IMAGE)')
# The one image of the overlay: nobody can tell which of several IMAGE is for.
SET_IMAGE = /^ +(- )?image: / { \
		if (found++) { print "config/$(OVERLAY) has several containers: name the image there, and leave IMAGE out" >"/dev/stderr"; exit 1 } \
		sub(/image: .*/, "image: " image) \
	} { print }
POLICIES = $(firstword $(wildcard config/profiles/$(PROFILE)/kustomization.yaml config/$(PROFILE)/kustomization.yaml))
CYCLONEDX = go tool -modfile=test/tools/cyclonedx/go.mod cyclonedx-gomod
GOVULNCHECK = go tool -modfile=test/tools/govulncheck/go.mod govulncheck

# Cases that a folder beside the repository may hold, in addition to those in it.
export SLUICE_CORPUS ?= $(abspath $(wildcard ../shared/corpus))

# Reports are read through pipes and in logs.
export GINKGO_NO_COLOR ?= TRUE

# Runs the rest of a recipe with a control plane at hand.
WITH_CONTROLPLANE = assets=$$(go -C test/controlplane run .); KUBEBUILDER_ASSETS="$$assets"

.PHONY: help
help: ## list the targets
	awk -F ':.*## ' '/^[a-z0-9]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' Makefile

.PHONY: build
build: ## build bin/sluice
	go build -ldflags '-s -w -X main.linkedVersion=$(VERSION) -X main.linkedCommit=$(COMMIT)' \
		-o bin/sluice ./cmd/sluice

.PHONY: controlplane
controlplane: ## find or build kube-apiserver, etcd and kubectl, and print their folder
	go -C test/controlplane run .

# Built with the flags that vet and the build of Sluice have, so that packages are compiled once. go build does nothing if nothing
# changed.
.PHONY: certmanager
certmanager: ## build cert-manager's controllers into bin/certmanager, with its CRDs
	mkdir -p bin/certmanager/crds
	cd test/certmanager; go build -ldflags '-s -w' -o ../../bin/certmanager/certmanager .; \
	install -m 644 "$$(go list -m -f '{{.Dir}}' github.com/cert-manager/cert-manager)"/deploy/crds/*.yaml ../../bin/certmanager/crds/

.PHONY: helm
helm: ## build bin/helm
	go build -modfile=test/tools/helm/go.mod -ldflags '-s -w' -o bin/helm helm.sh/helm/v4/cmd/helm

.PHONY: demo
demo: build ## show Sluice at work on a real control plane; KEEP=1 leaves it running
	$(WITH_CONTROLPLANE) go run ./test/demo $(if $(filter-out 0,$(KEEP)),-keep)

.PHONY: test
test: tally ## everything below that can fail
	$(TALLY) make generated lint rego unit race envtest image demo fuzz

.PHONY: generated
generated: ## fail when generated files are stale
	go mod tidy -diff
	go -C test/schemagen run . -check
	fresh=$$(mktemp -d); trap 'rm -r "$$fresh"' EXIT; \
	$(CONTROLLER_GEN) object crd paths=./policies/v1alpha1 output:object:dir="$$fresh" output:crd:dir="$$fresh/crd"; \
	diff -u policies/v1alpha1/zz_generated.deepcopy.go "$$fresh/zz_generated.deepcopy.go"; \
	diff -u --exclude=kustomization.yaml config/crd "$$fresh/crd"

.PHONY: lint
lint: ## golangci-lint here, go vet in the modules below test
	$(GOLANGCI_LINT) run --timeout 15m
	for module in $(MODULES); do go -C $$module vet ./...; done

.PHONY: rego
rego: build ## tests of the shipped rules
	bin/sluice test rego

.PHONY: unit
unit: tally ## tests that need no control plane
	$(GO_TEST) -timeout 10m $$(go list ./... | grep -v '/test/')
	# Go's cache of results does not see that a file outside of the module has changed.
	for module in $(MODULES); do (cd $$module && $(GO_TEST) -count=1 -timeout 10m ./...); done

.PHONY: race
race: tally ## the parts that are concurrent, with the race detector; it needs a C compiler
	if ! command -v "$$(go env CC)" >/dev/null; then echo "no C compiler: the race detector is left out"; exit 0; fi; \
	$(GO_TEST) -race -short -timeout 10m $$(go list ./... | grep -E '/(certs|webhook|policies|policies/state|policies/reservation|policies/controllers)$$')

# Suites wait for half of their time, so that one more runs at once than a small machine has cores, and the longest come first.
LONGEST = $(addprefix ./test/,e2e generate policies storm parity)

.PHONY: envtest
envtest: build tally certmanager helm ## suites against a real control plane
	$(WITH_CONTROLPLANE) $(GO_TEST) -p 3 -timeout 15m $$(go list $(LONGEST) ./test/... | grep -v /test/image)

.PHONY: image
image: tally ## build the Dockerfile with buildah, if it is installed, and start what comes out; with ARCH=arm64, for that, too
	SLUICE_ARCH=$(ARCH) $(GO_TEST) -timeout 30m ./test/image

.PHONY: e2e
e2e: build tally certmanager ## the end-to-end suite at full length: 20 rounds of every fault; envtest has a few
	$(WITH_CONTROLPLANE) SLUICE_E2E=long $(GO_TEST) -timeout 40m ./test/e2e

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME (5s; give it minutes for a search)
	grep -rEo --include='*_test.go' '^func Fuzz[A-Za-z0-9_]+' cmd certs policies rego webhook | sort | \
	while IFS=: read -r file name; do \
		echo "$${file%/*} $${name#func }"; \
		go test -run '^$$' -fuzz "^$${name#func }\$$" -fuzztime $(FUZZTIME) "./$${file%/*}"; \
	done

.PHONY: tally
tally:
	go build -o bin/tally ./test/tools/tally

.PHONY: generate
generate: ## write deepcopy functions, CRDs and schemas
	$(CONTROLLER_GEN) object crd paths=./policies/v1alpha1 output:crd:dir=config/crd
	go -C test/schemagen run .

.PHONY: deploy
deploy: ## install config/OVERLAY (default), with IMAGE, then the policies of PROFILE (baseline, restricted, observe) in place of another's
	$(if $(PROFILE),$(if $(POLICIES),,$(error there is no profile $(PROFILE))))
	$(FIND_KUBECTL); \
	"$$kubectl" apply -k config/crd; \
	"$$kubectl" wait --for=condition=Established --timeout=60s -f config/crd/policy.sluice.dev_gatepolicies.yaml \
		-f config/crd/policy.sluice.dev_gateexceptions.yaml; \
	manifests=$$($(RENDER)); \
	"$$kubectl" apply -f - <<<"$$manifests"; \
	if [[ "$$manifests" == *"kind: Deployment"* ]]; then \
		"$$kubectl" rollout status --namespace sluice-system --timeout=5m deployment/sluice; \
	fi; \
	if [ -n "$(PROFILE)" ]; then \
		for try in 1 2 3 4 5 6; do \
			if "$$kubectl" apply -k $(dir $(POLICIES)); then break; fi; \
			[ $$try != 6 ] || exit 1; \
			echo "the API server may not have seen yet that Sluice answers"; sleep 5; \
		done; \
		wanted=$$("$$kubectl" get -k $(dir $(POLICIES)) -o name | sort); \
		stale=$$("$$kubectl" get gatepolicies --selector policy.sluice.dev/profile -o name | sort | comm -13 <(echo "$$wanted") -); \
		[ -z "$$stale" ] || "$$kubectl" delete $$stale; \
		"$$kubectl" wait --for=condition=Ready --timeout=60s gatepolicies --all; \
	fi

.PHONY: undeploy
undeploy: ## take policies, webhooks and the rest of config/OVERLAY away, in this order
	$(FIND_KUBECTL); \
	if "$$kubectl" get customresourcedefinition gatepolicies.policy.sluice.dev >/dev/null 2>&1; then \
		"$$kubectl" delete gatepolicies --all; \
	fi; \
	"$$kubectl" delete --ignore-not-found mutatingwebhookconfiguration,validatingwebhookconfiguration sluice; \
	$(RENDER) | "$$kubectl" delete --ignore-not-found -f -
	$(FIND_KUBECTL); "$$kubectl" delete --ignore-not-found -k config/holdpods

.PHONY: dist
dist: helm ## write dist/: install-<overlay>.yaml and the chart, with IMAGE, what can be added, profiles, program, its SBOM, checksums
	rm -rf dist; mkdir dist
	$(FIND_KUBECTL); \
	for overlay in default selfmanaged; do $(MAKE) --no-print-directory render OVERLAY=$$overlay >dist/install-$$overlay.yaml; done; \
	for part in holdpods networkpolicy prometheus; do "$$kubectl" kustomize config/$$part >dist/$$part.yaml; done; \
	for profile in baseline restricted; do "$$kubectl" kustomize config/profiles/$$profile >dist/profile-$$profile.yaml; done; \
	"$$kubectl" kustomize config/observe >dist/observe-restricted.yaml; \
	"$$kubectl" kustomize config/observe/baseline >dist/observe-baseline.yaml
	$(MAKE) --no-print-directory chart
	# As in the image, which is what the SBOM is about.
	program=dist/sluice-$$(go env GOOS)-$$(go env GOARCH); \
	CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags '-s -w -X main.linkedVersion=$(VERSION) -X main.linkedCommit=$(COMMIT)' \
		-o "$$program" ./cmd/sluice; \
	$(CYCLONEDX) bin -json -noserial -licenses -std -output dist/sluice.cdx.json -version '$(VERSION)' "$$program"
	cd dist; sha256sum * >SHA256SUMS; ls

# The chart bears VERSION, as its own where it is a semantic version, and IMAGE as its default: an image without a tag is latest.
.PHONY: chart
chart:
	copy=$$(mktemp -d); trap 'rm -r "$$copy"' EXIT; \
	cp -rL config/chart/. "$$copy"; \
	image='$(IMAGE)'; \
	if [ -n "$$image" ]; then \
		name=$${image##*/}; tag=latest; \
		if [[ "$$name" == *:* ]]; then tag=$${name#*:}; fi; \
		sed -i "s|^  repository: sluice$$|  repository: $${image%:"$$tag"}|; s|^  tag: \"\".*|  tag: \"$$tag\"|" "$$copy/values.yaml"; \
	fi; \
	version='$(VERSION)'; version=$${version#v}; \
	if [[ "$$version" =~ ^[0-9]+\.[0-9]+\.[0-9]+([-+][0-9A-Za-z.+-]+)?$$ ]]; then set -- --version "$$version"; fi; \
	bin/helm package --destination dist --app-version '$(VERSION)' "$$@" "$$copy" >/dev/null

.PHONY: render
render:
	$(FIND_KUBECTL); $(RENDER)

.PHONY: vulncheck
vulncheck: ## known vulnerabilities that the code can reach; it needs its database, which it fetches
	$(GOVULNCHECK) ./...

.PHONY: bench
bench: ## Go benchmarks, reviews per second of a running server, and writes per second of an API server that asks it
	go test -run '^$$' -bench . -benchmem -timeout 30m ./...
	go run ./test/bench
	go run ./test/bench -http1
	$(WITH_CONTROLPLANE) go run ./test/bench/apiserver

.PHONY: soak
soak: ## 15 minutes of writes that Sluice judges, at half of what the machine can do; its heap and goroutines must not grow
	$(WITH_CONTROLPLANE) go run ./test/bench/apiserver -soak 15m

.PHONY: ci
ci: ## exactly what CI runs
	.ci/run

.PHONY: clean
clean: ## remove what was built, but not the control plane
	rm -rf bin/sluice bin/tally dist
