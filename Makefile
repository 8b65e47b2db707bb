# `make help` lists the targets. Everything runs inside .venv, built from the lock when needed.
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
WORKERS ?= 2

.PHONY: help demo paper-mini test test-all lint bench stress cluster dag lock clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 10

.venv/installed: envs/requirements.lock envs/install.sh pyproject.toml
	@PYTHON="$(PYTHON)" sh envs/install.sh
	@touch $@

demo: .venv/installed ## raw clips to report on the embedded corpus
	@avemo demo

paper-mini: .venv/installed ## all four papers on generated miniature corpora
	@sh config/papers/mini/run.sh

test: .venv/installed ## the tests, without those that take minutes by nature
	OMP_NUM_THREADS=1 pytest -m "not slow" -n $(WORKERS) --dist loadfile --durations=10

test-all: .venv/installed ## all tests: four papers, every system, a real Slurm, kills and races
	OMP_NUM_THREADS=1 pytest -n $(WORKERS) --dist loadfile --durations=25

lint: .venv/installed ## ruff, mypy, snakefmt, snakemake --lint
	ruff check . && ruff format --check .
	mypy
	snakefmt --check Snakefile workflow
	snakemake --lint

bench: .venv/installed ## speed against what a user would run instead
	python -m benchmarks $(BENCH)

stress: .venv/installed ## kill, corrupt, race and fuzz the caches; writes docs/reliability.md
	PYTHONPATH=tests:pipeline OMP_NUM_THREADS=1 python -m stress $(STRESS)

cluster: .venv/installed ## a run and its failures on a real Slurm (root, slurm-wlm, munge); writes docs/cluster.md
	AVEMO_SLURM_FAILURES=1 AVEMO_CLUSTER_PAGE=docs/cluster.md OMP_NUM_THREADS=1 pytest tests/slurm -rs --durations=10

dag: .venv/installed ## draw docs/dag.svg again (needs graphviz)
	snakemake --rulegraph 2>/dev/null | sed -n '/^digraph/,$$p' | tred \
	  | dot -Grankdir=LR -Nheight=0.3 -Nfontsize=11 -Tsvg -o docs/dag.svg

lock: .venv/installed ## make the lock again after a change of dependencies
	uv pip compile pyproject.toml --extra dev --override envs/overrides.txt --universal --python-version 3.11 \
	  --fork-strategy fewest --generate-hashes --no-header --no-annotate -o envs/requirements.lock

clean: ## remove .venv and derived files; caches and results stay
	rm -rf .venv .avemo .snakemake .pytest_cache .mypy_cache .ruff_cache
