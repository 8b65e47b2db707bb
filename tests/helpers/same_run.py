"""Whether two trainings are the same, to the byte."""

from __future__ import annotations

from pathlib import Path

import torch

from avemo.training.checkpoint import load_checkpoint


class Killed(Exception):
    pass


def without_seconds(history):
    return [{name: value for name, value in row.items() if name != "seconds"} for row in history]


def same_bytes(one, other):
    assert one.keys() == other.keys()
    return all(one[name].numpy().tobytes() == other[name].numpy().tobytes() for name in one)


def flat_checkpoint(folder: Path):
    """Everything the last checkpoint holds: tensors by full name, and numbers without times."""
    tensors, meta = load_checkpoint(folder)
    flat = {}

    def walk(prefix, node):
        for name, value in node.items():
            if isinstance(value, torch.Tensor):
                flat[prefix + name] = value
            else:
                walk(f"{prefix}{name}/", value)

    walk("", tensors)
    return flat, {**meta, "history": without_seconds(meta["history"])}


def assert_same_run(one, one_folder, other, other_folder):
    (model_a, result_a), (model_b, result_b) = one, other
    assert without_seconds(result_a.history) == without_seconds(result_b.history)
    assert result_a.best_epoch == result_b.best_epoch
    assert same_bytes(result_a.best_state, result_b.best_state)
    assert same_bytes(model_a.state_dict(), model_b.state_dict())
    tensors_a, meta_a = flat_checkpoint(one_folder)
    tensors_b, meta_b = flat_checkpoint(other_folder)
    assert same_bytes(tensors_a, tensors_b)
    assert meta_a == meta_b
