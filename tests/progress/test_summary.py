"""What stands in run_summary.json."""

from __future__ import annotations

import json

from avemo.progress.summary import write_summaries
from avemo.study.study import Study
from runs import run_of


def test_costs_are_summed_over_stages(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    study = Study({"r": run_of(("a", "b"), corpus={"shards": 1}, splits={"n": 2})})
    layout = study.layouts["r"]
    for system, cpu in (("a", 30), ("b", 12)):
        benchmark = layout.benchmarks / "train" / f"{system}-split00.tsv"
        benchmark.parent.mkdir(parents=True, exist_ok=True)
        benchmark.write_text(f"s\tcpu_time\n10\t{cpu}\n")
        model = layout.trained(system, "split00") / "model.safetensors"
        model.parent.mkdir(parents=True)
        model.touch()
    write_summaries(study, ok=False)
    found = json.loads(layout.summary.read_text())
    assert found["ok"] is False
    assert found["total"] == {"jobs": 2, "failed": 0, "wall_s": 20.0, "cpu_s": 42.0}
    costs = {(stage["stage"], stage["of"]): stage["cpu_s"] for stage in found["stages"]}
    assert costs["train", "a"] == 30
    assert costs["evaluate", "a"] is None
