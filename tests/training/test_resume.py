"""Resumption to the byte, with the papers' systems and the procedures they are trained by.

A child process trains each and dies by SIGKILL in the second of three epochs; the run goes on here and
must end as one that was never killed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from avemo.dataset.loading import ClipData
from avemo.dataset.tasks import Classes
from avemo.evaluation.scoring import predict
from avemo.models import MODELS, build_model
from avemo.training.checkpoint import load_checkpoint
from avemo.training.loop import train
from avemo.training.recipe import TrainingConfig
from avemo.training.seeding import build_seeded
from feature_source import Source
from model_batches import AUDIO_DIM, OUTPUTS, VISUAL_DIM
from same_run import assert_same_run, same_bytes
from training_standins import ToySplit, fresh

RUNS = {
    "joint": ("auxformer", {"procedure": "joint", "modality_drop": 0.2}),
    "alternating": ("vavl", {"procedure": "alternating", "schedule": "none", "clip_norm": None}),
    "sampled": ("colearning", {"procedure": "sampled", "optimizer": "radam", "schedule": "none"}),
    "ladder": ("av_ladder", {"procedure": "joint", "dev_loss": "total"}),
    "sampled, low precision": ("uavm", {"procedure": "sampled", "sampling": "clip", "precision": "bfloat16"}),
}
"""System and training by what is shown."""

TASK = Classes([str(number) for number in range(OUTPUTS)])
CLIPS = [f"clip{number}" for number in range(26)]
SPLIT = ToySplit(train=tuple(CLIPS[:14]), dev=tuple(CLIPS[14:20]), test=tuple(CLIPS[20:]))
BATCHES = 14 // 5 + 1 + 6 // 5 + 1
"""Of five clips, in an epoch."""


class Mortal(ClipData):
    """Clips of unlike lengths, one without sound and one without faces; kills the process at a batch."""

    def __init__(self, die_at: int | None = None):
        lengths = [3 + 7 * number % 17 for number in range(len(CLIPS))]
        sound = {clip: length for clip, length in zip(CLIPS, lengths, strict=True) if clip != "clip3"}
        faces = {
            clip: 1 + length // 2 for clip, length in zip(CLIPS, lengths, strict=True) if clip != "clip5"
        }
        targets = {clip: number % OUTPUTS for number, clip in enumerate(CLIPS)}
        super().__init__(Source(sound, AUDIO_DIM), Source(faces, VISUAL_DIM, seed=1), targets)
        self.die_at, self.served = die_at, 0

    def collate(self, clip_ids):
        if self.served == self.die_at:
            os.kill(os.getpid(), signal.SIGKILL)
        self.served += 1
        return super().collate(clip_ids)


def run(name: str, folder: Path, die_at: int | None = None, progress=None):
    """The run, its result and its predictions of the test clips."""
    system, training = RUNS[name]
    config = TrainingConfig(epochs=3, batch_size=5, bucketing=2, lr=1e-2, device="cpu", **training)
    dims = {"audio_dim": AUDIO_DIM, "visual_dim": VISUAL_DIM, "outputs": OUTPUTS}
    model = build_seeded(lambda: build_model(system, **dims, **MODELS.load(system).tiny), 0, SPLIT.name)
    data = Mortal(die_at)
    result = train(fresh(model, config, TASK), data, SPLIT, run_id=name, folder=folder, progress=progress)
    best = build_model(system, **dims, **MODELS.load(system).tiny)
    best.load_state_dict(result.best_state)
    return model, result, predict(best, data, SPLIT.test, TASK)


@pytest.fixture(scope="module")
def killed(tmp_path_factory) -> Path:
    """A folder of each run's checkpoints, all left behind by a kill."""
    folder, root = tmp_path_factory.mktemp("killed"), Path(__file__).resolve().parents[2]
    path = os.pathsep.join([str(root / "tests" / "helpers"), *sys.path])
    child = subprocess.run(
        [sys.executable, __file__, str(folder)],
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert child.returncode == 0, child.stderr
    return folder


@pytest.mark.parametrize("name", RUNS)
def test_a_killed_run_ends_as_if_it_had_not_been(name, killed, tmp_path):
    left, meta = load_checkpoint(killed / name)
    assert [row["epoch"] for row in meta["history"]] == [1]
    epochs = []
    *resumed, said = run(name, killed / name, progress=lambda epoch, *_: epochs.append(epoch))
    assert epochs == [2, 3]
    *whole, expected = run(name, tmp_path)
    assert_same_run(whole, tmp_path, resumed, killed / name)
    assert said.equals(expected)
    assert not same_bytes(left["model"], resumed[0].state_dict())


if __name__ == "__main__":
    # A fork for each, after one run that pays for all imports.
    run("sampled", Path(sys.argv[1]) / "warm-up")
    for each in RUNS:
        if not (pid := os.fork()):
            run(each, Path(sys.argv[1]) / each, die_at=BATCHES + 2)
            os._exit(1)
        status = os.waitpid(pid, 0)[1]
        if not os.WIFSIGNALED(status) or os.WTERMSIG(status) != signal.SIGKILL:
            sys.exit(f"{each}: expected a death by SIGKILL, found status {status}")
