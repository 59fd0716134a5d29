# The only entrance: people and CI call these and nothing else. `make help` lists them.

SHELL := /usr/bin/env bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Parts that are built once and kept: Kubernetes, helm, CoreDNS, tools.
export FERROLB_CACHE ?= $(HOME)/.cache/ferrolb
NODES ?= 3
LAB := target/debug/lab
NAMESPACE := metallb-system
IMAGES := target/images/controller.tar target/images/speaker.tar
LAB_IMAGES := target/images/lab/controller.tar target/images/lab/speaker.tar
RUST_SOURCES := $(shell git ls-files -co --exclude-standard -- '*.rs' 'Cargo.*' '*/Cargo.toml' rust-toolchain.toml '*/Containerfile' .ci/images 2>/dev/null)

.PHONY: help demo test test-long check unit netns e2e bench bench-failover sim images cli crds schema manifests deps deny lab-up lab-down lab-install docs clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## Everything from nothing: a real cluster, the chart, a Service, a page through its address
	@e2e/demo

test: ## What every change must pass: check, simulation, packet tests, the lab
	@.ci/test

test-long: ## What needs repetitions or long quiet times, in parts (PART="lab"): before an issue is closed
	@.ci/test-long

check: ## Format, lints, unit tests, purity, generated files, chart, orphans: run before every commit
	@.ci/check

unit: ## Unit tests of all crates
	cargo test --quiet --no-run
	target/debug/runner units

netns: deps ## Packet tests on veth pairs in network namespaces of their own (root)
	cargo test --test packet -- --ignored --test-threads=1

e2e: deps $(LAB_IMAGES) ## Packet tests and tests in the lab (TESTS="failover split::" picks some; root)
	@e2e/run-tests

bench: deps ## All benchmarks; results go to docs/performance.md
	@e2e/bench

bench-failover: deps ## What faults cost, each measured many times (FAULTS, RUNS, SIZES; root)
	@e2e/bench-failover

sim: ## The proof of ownership: scenes (LONG=1: also those of a minute), defects, SEEDS=1000 seeds from SEED_BASE=1 on; or one told in full (SEED)
	SEEDS=$${SEEDS:-1000} cargo test --config speaker/tests/sim/profile.toml -p simulation -- --nocapture $(if $(SEED),seeds) $(if $(LONG),--include-ignored)

images: $(IMAGES) ## The container images, as archives under target/images

$(IMAGES) &: $(RUST_SOURCES)
	@.ci/images

$(LAB_IMAGES) &: $(RUST_SOURCES)
	@.ci/images lab

cli: ## kubectl-ferrolb, the plugin of kubectl: target/release/kubectl-ferrolb
	cargo build --release -p cli

crds: ## Write the chart's CustomResourceDefinitions anew from the Rust types
	cargo run -q -p crds --bin crdgen > charts/ferrolb/files/crds.yaml

schema: ## Copy the schema of the chart's values to where its templates can read it
	cp charts/ferrolb/values.schema.json charts/ferrolb/files/values.schema.json

manifests: crds schema ## Write the chart as one file of plain manifests, charts/manifests/ferrolb.yaml
	parts=$$(e2e/parts/build.sh) && HELM=$$parts/helm .ci/manifests > charts/manifests/ferrolb.yaml

deps: ## Install the Debian packages that the lab and the packet tests need (root)
	@e2e/deps.sh

deny: ## Licences, sources and duplicates of all dependencies
	@.ci/deny

$(LAB): $(RUST_SOURCES)
	cargo build -q -p e2e
	@touch $@

lab-up: deps $(LAB) ## A real Kubernetes with NODES=3 nodes in network namespaces (root)
	@$(LAB) up --nodes $(NODES)

lab-down: $(LAB) ## Take the lab down and remove every trace of it (root)
	@$(LAB) down

lab-install: $(LAB) $(IMAGES) ## Load the images into a running lab and install the chart
	@$(LAB) images $(IMAGES)
	@$(LAB) helm -- upgrade --install ferrolb charts/ferrolb -n $(NAMESPACE) --create-namespace --wait --timeout 120s

clean: ## Remove what was built here; the cache stays
	cargo clean
