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
.PHONY: help setup demo test versions bench conformance conformance-write lint doc clean
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

versions: setup ## Run what talks to PostgreSQL on each version from 10 to 18 (needs npm; installs it with apt)
	@$(READY) exec scripts/versions.sh "$(CACHE)"

bench: setup ## Measure against pgbench with the same SQL and print the ratios
	@$(READY) exec bench/run.sh

conformance: setup ## Compare with graphql-js and graphql-http's audit (needs node; installs it with apt)
	@$(READY) cargo build --package fraiseql
	@$(READY) exec scripts/conformance.sh "$(CARGO_TARGET_DIR)/debug/fraiseql"

conformance-write: setup
	@$(READY) cargo build --package fraiseql
	@$(READY) exec scripts/conformance.sh "$(CARGO_TARGET_DIR)/debug/fraiseql" --write

lint: setup ## Check form, lints, licences and shell scripts, as far as the tools are installed
	@$(READY) exec scripts/lint.sh

doc: setup ## Build the documentation of the crates
	@$(READY) cargo doc --workspace --no-deps

clean: ## Remove what was built
	rm -rf "$(CARGO_TARGET_DIR)"
