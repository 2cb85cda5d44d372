# `make` lists the targets.
.DEFAULT_GOAL := help
SHELL := /usr/bin/env bash
.SHELLFLAGS := -eu -o pipefail -c

cache := $(or $(STEPBOUND_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/stepbound)
cargo_deny_version := 0.20.2
cargo_deny := $(cache)/cargo-deny-$(cargo_deny_version)/bin/cargo-deny

.PHONY: help demo measure bench speed page chaos test fuzz lint advisories fmt crds lint-docs man manifests image integrations testbed clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: testbed ## the quickstart on this machine; KEEP=1 leaves it up until Enter
	cargo build --quiet --locked --bin stepbound --example demo
	KEEP=$(KEEP) $(or $(CARGO_TARGET_DIR),target)/debug/examples/demo

measure: testbed ## latencies, and calls and memory at 1,000 idle workflows, on the test bed; IDLE=3600 rests an hour
	cargo build --quiet --locked --release --bin stepbound --example measure
	STEPBOUND_BINARY=$(or $(CARGO_TARGET_DIR),target)/release/stepbound $(or $(CARGO_TARGET_DIR),target)/release/examples/measure

bench: testbed ## what runs cost at scale; SCENARIO=starts|sync|detection|memory|bindings|histories|naive, FULL=1 for the published sizes
	cargo build --quiet --locked --release --bin stepbound --example bench
	STEPBOUND_BINARY=$(or $(CARGO_TARGET_DIR),target)/release/stepbound SCENARIO=$(SCENARIO) FULL=$(FULL) $(or $(CARGO_TARGET_DIR),target)/release/examples/bench

speed: ## how fast the linter and the drawings are; STEPBOUND_CORPUS names the definitions that are linted
	cargo run --quiet --locked --release --example lint-speed
	cargo run --quiet --locked --release --example graph-speed

page: testbed ## how fast the page of kubectl sfn ui is, and how large its server, with RUNS runs (10,000)
	cargo build --quiet --locked --profile plugin --no-default-features --features kubectl --bin kubectl-sfn
	cargo build --quiet --locked --example page
	KUBECTL_SFN=$(or $(CARGO_TARGET_DIR),target)/plugin/kubectl-sfn $(or $(CARGO_TARGET_DIR),target)/debug/examples/page --runs $(or $(RUNS),10000)

chaos: testbed ## 2,000 runs while everything breaks: RUNS, KILLS, RESTARTS, SEED change how much
	STEPBOUND_CHAOS_RUNS=$(or $(RUNS),2000) STEPBOUND_CHAOS_KILLS=$(or $(KILLS),100) \
	STEPBOUND_CHAOS_RESTARTS=$(or $(RESTARTS),2) STEPBOUND_CHAOS_SEED=$(or $(SEED),1) STEPBOUND_CHAOS_LAG_SECONDS=$(or $(LAG_SECONDS),10) \
	cargo test --locked --test chaos -- --nocapture

test: testbed lint ## lints, unit, architecture, schema and integration tests on a real control plane; K8S=1.34.4 takes another one
	$(if $(K8S),assets=$$(tools/install-testbed.sh --kubernetes $(K8S)) && KUBEBUILDER_ASSETS=$$assets) cargo test --locked

fuzz: ## look for inputs that break what reads them, TIME seconds for each target (60); TARGET=yaml takes one
	tools/fuzz.sh $(or $(TIME),60) $(TARGET)

lint: $(cargo_deny) ## formatting, clippy (warnings are errors), and what may be depended on
	cargo fmt --all --check
	cargo clippy --locked --all-targets -- -D warnings
	cargo fetch --quiet --locked
	$(cargo_deny) --offline --log-level error check bans licenses sources

advisories: $(cargo_deny) ## known faults in what is depended on; says so where the database cannot be had
	CARGO_DENY=$(cargo_deny) tools/advisories.sh

$(cargo_deny):
	@echo "Building cargo-deny $(cargo_deny_version) once (about 2 min)"
	cargo install --quiet --locked cargo-deny --version $(cargo_deny_version) --root $(dir $(patsubst %/,%,$(dir $@)))

fmt: ## format the sources
	cargo fmt --all

crds: ## generate crds/ and docs/reference.md from the types
	cargo run --quiet --locked -- crds --output-dir crds --reference docs/reference.md

manifests: testbed ## render the chart into deploy/kustomize and dist/install.yaml
	tools/render-manifests.sh > deploy/kustomize/base/operator.yaml
	mkdir -p dist && tools/render-manifests.sh --all > dist/install.yaml

image: testbed ## build the image as an OCI layout in dist/image, without Docker; prints size and start time
	@tools/build-image.sh
	@cargo build --quiet --locked --example cold-start
	@STEPBOUND_BINARY=dist/root/usr/local/bin/stepbound $(or $(CARGO_TARGET_DIR),target)/debug/examples/cold-start

lint-docs: ## write the pages of the linter's rules
	cargo build --quiet --locked --bin stepbound
	@rm -f docs/lint/SB*.md
	@bin=$(or $(CARGO_TARGET_DIR),target)/debug/stepbound; \
	for code in $$($$bin lint --explain | cut -d' ' -f1); do $$bin lint --explain $$code >docs/lint/$$code.md; done

man: ## write the man pages of kubectl sfn into dist/man
	cargo run --quiet --locked --no-default-features --features kubectl --example man -- dist/man "$$(git log -1 --format=%cs)"

integrations: ## write the table of integrations from the pinned service models; NEWEST=1 pins the newest first
	tools/integrations/update.sh $(if $(NEWEST),--newest)

testbed: ## build control plane, Helm and the AWS emulator into the per-user cache, once
	@tools/install-testbed.sh >/dev/null

clean: ## remove what was built here; the per-user cache stays
	cargo clean
