# The commands of this repository. `make demo` and `make test` need nothing but make and a network.

SHELL := /bin/sh
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/fraiseql
SETUP_ENV := $(CACHE)/setup.env

# Outside of the clone, so that a new clone does not build everything again.
export CARGO_TARGET_DIR ?= $(CACHE)/target

# The demo and the tests bring their own PostgreSQL: whatever this names is not theirs.
unexport DATABASE_URL

# What setup found, for the commands of a recipe.
READY := . "$(SETUP_ENV)" &&

.DEFAULT_GOAL := help
.PHONY: help setup demo test guide drills versions bench bench-judge bench-restore charts image image-test package package-test ansible-test conformance conformance-write lint doc clean
.NOTPARALLEL:

help: ## Say what can be made
	@sed -n 's/^\([a-z]*\):[^#]*## \(.*\)/  make \1|\2/p' Makefile | awk -F '|' '{ printf "%-14s %s\n", $$1, $$2 }'

setup: ## Install what is missing: a C compiler, Rust, a PostgreSQL server
	@scripts/setup.sh "$(SETUP_ENV)"

demo: setup ## Build, and run the music store's API on port 4000 with a PostgreSQL of its own
	@echo "demo: building (minutes the first time, seconds later)" >&2
	@$(READY) cargo build --package fraiseql
	@$(READY) exec "$(CARGO_TARGET_DIR)/debug/fraiseql" up examples/chinook

test: ## Install what is missing, run every test and name the ten slowest
	@scripts/setup.sh "$(SETUP_ENV)" tests
	@echo "test: building (minutes the first time)" >&2
	@$(READY) cargo xtask test

guide: setup ## Walk through the deployment guide, section by section, under load, and print what was seen
	@scripts/setup.sh "$(SETUP_ENV)" tests
	@$(READY) cargo test --package fraiseql --test it -- guide:: --nocapture

versions: setup ## Run what talks to PostgreSQL on each version from 10 to 18 (needs npm; installs it with apt)
	@$(READY) exec scripts/versions.sh "$(CACHE)"

drills: setup ## Deploy with each strategy and traffic driver, switch traffic and replace the proxy a hundred times under load, and print what clients have seen
	@scripts/setup.sh "$(SETUP_ENV)" tests
	@$(READY) FRAISEQL_DRILL_ROUNDS=100 FRAISEQL_DRILL_REQUESTS=100 cargo test --package fraiseql --test it -- drill:: drill_strategies:: --nocapture --test-threads 1

bench: setup ## Measure against pgbench with the same SQL and print the ratios
	@$(READY) exec bench/run.sh

bench-judge: setup ## Simulate 10,000 rollouts for each kind of traffic, and print how often the judge is wrong
	@$(READY) FRAISEQL_STATISTICS_TIMES=10000 cargo test --release --quiet --package fraiseql-rollout --test it -- statistics --nocapture

bench-restore: setup ## Measure a restore of 2 GB and 0.3 GB of WAL against a plain copy and replay (DATA_MB, WAL_MB, FOLDER)
	@$(READY) cargo build --quiet --release --package fraiseql
	@$(READY) python3 -B bench/restore.py "$(CARGO_TARGET_DIR)/release/fraiseql" $(or $(DATA_MB),2000) $(or $(WAL_MB),300) $(or $(FOLDER),/var/tmp)

conformance: setup ## Compare with graphql-js and graphql-http's audit (needs node; installs it with apt)
	@$(READY) cargo build --package fraiseql
	@$(READY) exec scripts/conformance.sh "$(CARGO_TARGET_DIR)/debug/fraiseql"

conformance-write: setup
	@$(READY) cargo build --package fraiseql
	@$(READY) exec scripts/conformance.sh "$(CARGO_TARGET_DIR)/debug/fraiseql" --write

charts: ## Check the Helm chart and the Terraform module (needs python3)
	@packaging/charts.sh

package: setup ## Make the Debian package, the offline tarball, their checksums and SBOM
	@$(READY) cargo build --quiet --release --package fraiseql
	@$(READY) packaging/deb.sh "$(CARGO_TARGET_DIR)/release/fraiseql" "$(CARGO_TARGET_DIR)/packages"

package-test: package ## Walk a fresh host with systemd through the life of the package (needs root)
	@packaging/host-test.sh "$$(ls -t "$(CARGO_TARGET_DIR)"/packages/*.deb | head -n 1)"

ansible-test: package ## Run the Ansible role over ssh against a fresh host with systemd (needs root and pip)
	@packaging/ansible-test.sh "$$(ls -t "$(CARGO_TARGET_DIR)"/packages/*.deb | head -n 1)"

image: setup ## Make the container image and its SBOM (needs docker and an engine)
	@$(READY) cargo build --quiet --release --package fraiseql
	@packaging/image.sh "$(CARGO_TARGET_DIR)/release/fraiseql" "$(CARGO_TARGET_DIR)/packages"

image-test: setup ## Run the image in an engine of its own; print size, time to ready, memory (needs root; dockerd from apt)
	@$(READY) cargo build --quiet --release --package fraiseql
	@packaging/image-test.sh "$(CARGO_TARGET_DIR)/release/fraiseql"

lint: setup ## Check form, lints, licences and shell scripts, as far as the tools are installed
	@$(READY) exec scripts/lint.sh

doc: setup ## Build the documentation of the crates
	@$(READY) cargo doc --workspace --no-deps

clean: ## Remove what was built
	rm -rf "$(CARGO_TARGET_DIR)"
