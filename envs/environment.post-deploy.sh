#!/bin/sh
# Snakemake runs this in the conda environment it has made; the package itself is not in the lock.
set -eu
pip install --no-deps --no-build-isolation --editable "$(dirname "$0")/.."
