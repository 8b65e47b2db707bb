#!/bin/sh
# Generates the miniature corpora and runs the papers named (default: all four) on them, to their tables.
set -eu
for corpus in crema_d:3 msp_improv:6 cmu_mosei:3; do
  name=${corpus%:*}
  avemo corpus miniature "$name" --speakers "${corpus#*:}" --out "cache/mini/$name/corpus"
done
for paper in ${*:-auxformer av_ladder vavl colearning}; do
  snakemake paper --configfile "config/papers/$paper.yaml" "config/papers/mini/$paper.yaml"
  echo "tables: $PWD/results/$paper-mini/paper.html"
done
