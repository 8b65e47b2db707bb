"""A run that was stopped, killed or crashed goes on to the same bytes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from avemo.training import loop
from avemo.training.checkpoint import CHECKPOINT, load_checkpoint, save_checkpoint
from avemo.training.seeding import build_seeded
from same_run import Killed, assert_same_run, flat_checkpoint, same_bytes
from training_standins import SHORT, Towers, ToyData, run_tiny


def test_checkpoint_holds_optimizer_scheduler_and_every_generator(whole):
    tensors, meta = flat_checkpoint(whole[1])
    assert {f"rng/{name}" for name in ("shuffle", "drop", "noise", "global")} <= tensors.keys()
    assert "optimizer/0/exp_avg_sq" in tensors
    assert tensors["optimizer/0/step"].item() == SHORT.epochs * 4
    assert "model/trunk.1.running_var" in tensors
    assert meta["scheduler"]["last_epoch"] == SHORT.epochs


@pytest.mark.parametrize("last", [1, 2, 4, 5])
def test_run_stopped_after_an_epoch_goes_on_to_the_same_bytes(whole, tmp_path, last):
    def stop(epoch, epochs, row):
        if epoch == last:
            raise Killed

    with pytest.raises(Killed):
        run_tiny(tmp_path, progress=stop)
    torch.rand(7)  # the caller's use of the global RNG must not matter
    resumed_epochs = []
    resumed = run_tiny(tmp_path, progress=lambda epoch, epochs, row: resumed_epochs.append(epoch))
    assert resumed_epochs == list(range(last + 1, SHORT.epochs + 1))
    assert_same_run(*whole, resumed, tmp_path)


def test_run_killed_inside_an_epoch_goes_on_to_the_same_bytes(whole, tmp_path):
    """A child process dies by SIGKILL in the third epoch's third batch."""
    root = Path(__file__).resolve().parents[2]
    child = subprocess.run(
        [sys.executable, str(root / "tests" / "helpers" / "training_standins.py"), str(tmp_path), "14"],
        capture_output=True,
        text=True,
    )
    assert child.returncode == -9, child.stderr
    assert len(load_checkpoint(tmp_path)[1]["history"]) == 2
    assert_same_run(*whole, run_tiny(tmp_path), tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"procedure": "alternating", "betas": (0.95, 0.999), "clip_norm": None, "schedule": "none"},
        {
            "procedure": "alternating",
            "visual_first": True,
            "optimizer": "adamw",
            "schedule": "step",
            "step_epochs": 2,
        },
        {"procedure": "sampled", "optimizer": "radam"},
        {"procedure": "sampled", "sampling": "clip", "weight_decay": 1e-3},
    ],
)
def test_each_procedure_goes_on_to_the_same_bytes(tmp_path, change):
    config = SHORT.model_copy(update=change)

    def stop(epoch, epochs, row):
        if epoch == 3:
            raise Killed

    uninterrupted = run_tiny(tmp_path / "whole", config, system=Towers)
    with pytest.raises(Killed):
        run_tiny(tmp_path / "killed", config, system=Towers, progress=stop)
    resumed = run_tiny(tmp_path / "killed", config, system=Towers)
    assert_same_run(*(uninterrupted, tmp_path / "whole"), *(resumed, tmp_path / "killed"))
    assert not same_bytes(uninterrupted[0].state_dict(), build_seeded(Towers, 0, "split00").state_dict())


def test_crash_while_saving_leaves_the_last_checkpoint_whole(whole, tmp_path, monkeypatch):
    replace, calls = os.replace, []

    def fail_third(source, target):
        calls.append(target)
        if len(calls) == 3:
            raise OSError("no space left on device")
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", fail_third)
        with pytest.raises(OSError, match="no space"):
            run_tiny(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [CHECKPOINT]
    assert len(load_checkpoint(tmp_path)[1]["history"]) == 2
    assert_same_run(*whole, run_tiny(tmp_path), tmp_path)


def test_finished_run_is_not_trained_again(whole):
    data = ToyData()
    again = run_tiny(whole[1], data=data)
    assert data.served == 0
    assert_same_run(*whole, again, whole[1])


@pytest.mark.parametrize("change", [{"seed": 1}, {"lr": 0.04}, {"epochs": 6}])
def test_checkpoint_of_another_setting_is_not_resumed(tmp_path, caplog, change):
    run_tiny(tmp_path, SHORT.model_copy(update={"epochs": 1}))
    epochs = []
    run_tiny(tmp_path, SHORT.model_copy(update=change), progress=lambda epoch, *_: epochs.append(epoch))
    assert epochs[0] == 1
    assert "another run" in caplog.text


def test_device_and_threads_do_not_stop_a_resumption(whole, tmp_path):
    run = SHORT.model_copy(
        update={"device": "auto" if not torch.cuda.is_available() else "cpu", "threads": None}
    )
    data = ToyData()
    save_checkpoint(tmp_path, *load_checkpoint(whole[1]))
    run_tiny(tmp_path, run, data=data)
    assert data.served == 0


def test_checkpoints_are_as_far_apart_as_asked_and_the_last_epoch_is_always_kept(tmp_path, monkeypatch):
    clock, saved = iter(range(0, 1000, 12)), []
    timers = SimpleNamespace(monotonic=lambda: next(clock), perf_counter=time.perf_counter)
    monkeypatch.setattr(loop, "time", timers)
    whole = loop.save_checkpoint

    def save(folder, tensors, meta):
        saved.append(len(meta["history"]))
        whole(folder, tensors, meta)

    monkeypatch.setattr(loop, "save_checkpoint", save)
    run_tiny(tmp_path, SHORT.model_copy(update={"epochs": 8, "checkpoint_s": 30}))
    # The clock is asked once an epoch, and once more after a checkpoint.
    assert saved == [1, 4, 7, 8]
    assert len(load_checkpoint(tmp_path)[1]["history"]) == 8
