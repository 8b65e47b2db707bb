# `make help` lists the targets. Everything runs inside .venv, built from the lock when needed.
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
WORKERS ?= 2

.PHONY: another-torch help demo paper-mini test test-slow test-all lint bench gpu gpu-pack stress cluster docs dag lock clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 10

# TORCH=cpu takes PyTorch's build for CPUs, and is remembered; another one than last time builds .venv again.
ifneq ($(TORCH),)
ifneq ($(TORCH),$(shell cat .venv/torch 2> /dev/null))
.venv/installed: another-torch
endif
endif
another-torch:

.venv/installed: envs/requirements.lock envs/install.sh pyproject.toml
	@PYTHON="$(PYTHON)" TORCH="$(TORCH)" sh envs/install.sh
	@touch $@

demo: .venv/installed ## raw clips to report on the embedded corpus
	@avemo demo

paper-mini: .venv/installed ## all four papers on generated miniature corpora
	@sh config/papers/mini/run.sh

test: .venv/installed ## the tests, without those that take minutes by nature
	OMP_NUM_THREADS=1 pytest -m "not slow" -n $(WORKERS) --dist loadfile --durations=10

test-slow: .venv/installed ## those that take minutes by nature, alone
	OMP_NUM_THREADS=1 pytest -m slow -n $(WORKERS) --dist loadfile --durations=25

test-all: .venv/installed ## all tests: four papers, every system, a real Slurm, kills and races
	OMP_NUM_THREADS=1 pytest -n $(WORKERS) --dist loadfile --durations=25

lint: .venv/installed ## ruff, mypy, snakefmt, snakemake --lint
	ruff check . && ruff format --check .
	mypy
	snakefmt --check Snakefile workflow
	snakemake --lint

bench: .venv/installed ## speed against what a user would run instead
	python -m benchmarks $(BENCH)

gpu: .venv/installed ## check and measure everything on a GPU, in under 8 minutes; writes docs/gpu.md
	python -m benchmarks.gpu $(GPU)

gpu-pack: .venv/installed ## what a GPU machine without a network needs for it, in .gpu
	python -m benchmarks.gpu.pack

stress: .venv/installed ## kill, corrupt, race and fuzz the caches; writes docs/reliability.md
	PYTHONPATH=tests:pipeline OMP_NUM_THREADS=1 python -m stress $(STRESS)

cluster: .venv/installed ## a run and its failures on a real Slurm (root, slurm-wlm, munge); writes docs/cluster.md
	AVEMO_SLURM_FAILURES=1 AVEMO_CLUSTER_PAGE=docs/cluster.md OMP_NUM_THREADS=1 pytest tests/slurm -rs --durations=10

docs: .venv/installed ## build the site of docs/ to site/; python -m http.server -d site shows it
	python docs/generate.py
	NO_MKDOCS_2_WARNING=1 mkdocs build --strict

dag: .venv/installed ## draw docs/dag.svg and docs/house.svg again (needs graphviz)
	snakemake --rulegraph 2>/dev/null | sed -n '/^digraph/,$$p' | tred \
	  | dot -Grankdir=LR -Nheight=0.3 -Nfontsize=11 -Tsvg -o docs/dag.svg
	sed -n '/^graph TD/,/^```/{/```/d;p}' docs/architecture.md | sed -e '1s/.*/digraph { node [shape=box];/' -e 's/-->/->/' -e '$$s/$$/ }/' \
	  | dot -Nstyle=rounded -Nheight=0.3 -Nfontname=sans -Nfontsize=11 -Earrowsize=0.6 -Tsvg -o docs/house.svg

lock: .venv/installed ## make the lock again after a change of dependencies
	uv pip compile pyproject.toml --extra dev --extra docs --override envs/overrides.txt --universal --python-version 3.11 \
	  --fork-strategy fewest --generate-hashes --no-header --no-annotate -o envs/requirements.lock

clean: ## remove .venv and derived files; caches and results stay
	rm -rf .venv site .avemo .snakemake .pytest_cache .mypy_cache .ruff_cache
