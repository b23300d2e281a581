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
FUZZTIME ?= 20s
CONTROLLER_GEN = go tool -modfile=test/tools/controllergen/go.mod controller-gen
GOLANGCI_LINT = go tool -modfile=test/tools/golangcilint/go.mod golangci-lint
TALLY = $(CURDIR)/bin/tally
GO_TEST = $(TALLY) go

# Modules of their own: what they need must not reach what uses Sluice.
MODULES = test/certmanager test/controlplane test/schemagen

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

.PHONY: demo
demo: build ## show Sluice at work on a real control plane; KEEP=1 leaves it running
	$(WITH_CONTROLPLANE) go run ./test/demo $(if $(filter-out 0,$(KEEP)),-keep)

.PHONY: test
test: tally ## everything below that can fail
	$(TALLY) make generated lint rego unit race envtest demo fuzz

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
	for module in $(MODULES); do (cd $$module && $(GO_TEST) -timeout 10m ./...); done

.PHONY: race
race: tally ## the parts that are concurrent, with the race detector; it needs a C compiler
	if ! command -v "$$(go env CC)" >/dev/null; then echo "no C compiler: the race detector is left out"; exit 0; fi; \
	$(GO_TEST) -race -short -timeout 10m $$(go list ./... | grep -E '/(certs|webhook|policies|policies/state|policies/reservation|policies/controllers)$$')

.PHONY: envtest
envtest: build tally certmanager ## suites against a real control plane
	$(WITH_CONTROLPLANE) $(GO_TEST) -timeout 15m ./test/...

.PHONY: e2e
e2e: build tally certmanager ## the end-to-end suite at full length: 20 rounds of every fault; envtest has a few
	$(WITH_CONTROLPLANE) SLUICE_E2E=long $(GO_TEST) -timeout 40m ./test/e2e

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME (20s)
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

.PHONY: bench
bench: ## Go benchmarks, then reviews per second of a running server
	go test -run '^$$' -bench . -benchmem -timeout 30m ./...
	go run ./test/bench

.PHONY: ci
ci: ## exactly what CI runs
	.ci/run

.PHONY: clean
clean: ## remove what was built, but not the control plane
	rm -rf bin/sluice bin/tally dist
