"""Fine-tuning commands: networks behind extractors, on corpora of their own."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from avemo.cli.options import Cfg, Counter, GpuMb, Threads, as_mapping, use_threads

finetune_app = typer.Typer(help="Fine-tune the networks behind extractors.", no_args_is_help=True)

Table = Annotated[Path, typer.Option(help="CSV of examples; see `avemo corpus examples`.")]
Resume = Annotated[Path, typer.Option(help="Folder of the checkpoint; a killed run goes on from there.")]
OutFolder = Annotated[Path, typer.Option("--out", help="Folder to write; appears whole or not at all.")]


def register(app: typer.Typer) -> None:
    app.add_typer(finetune_app, name="finetune")


@finetune_app.command()
def speech(
    cfg: Cfg, table: Table, resume: Resume, out: OutFolder, threads: Threads = 1, gpu_mb: GpuMb = 0
) -> None:
    """Tune wav2vec 2.0 on arousal, valence and dominance; the folder serves as the extractor's `weights`.

    The table has the columns path, arousal, valence, dominance, split.

    Example: avemo finetune speech --cfg '{"weights": "wav2vec2_large_robust"}' --table msp_podcast.csv
    --resume .resume/speech --out weights/wav2vec2_msp_podcast
    """
    use_threads(threads)
    _require_own(out)
    from avemo.base.atomic import aside_folder
    from avemo.features.wav2vec2_network import find_network
    from avemo.finetuning.loop import tune
    from avemo.finetuning.speech import (
        SpeechTuning,
        Turns,
        ccc_loss,
        ccc_scores,
        read_turns,
        save_tuned,
        start_network,
    )
    from avemo.machine.gpus import use_gpu
    from avemo.study.config import parse
    from avemo.weights.find import sha256_path

    started = time.time()
    config = parse(SpeechTuning, as_mapping(cfg), "finetune.speech")
    use_gpu(gpu_mb, config.device)
    sides = read_turns(table)
    weights = find_network(config.weights, config.revision)
    model = start_network(weights, config)
    inputs = {"table": sha256_path(table), **weights.provenance()}
    typer.echo(f"{len(sides['train'])} turns to train on, {len(sides['dev'])} to choose the epoch by")
    tuned = tune(
        model,
        Turns(sides, config),
        config,
        ccc_loss,
        ccc_scores,
        run_id=f"speech {inputs}",
        folder=resume,
        progress=_say_epoch,
        items=_item_counter(),
    )
    model.load_state_dict(tuned.best_state)
    with aside_folder(out) as folder:
        save_tuned(folder, model)
        _write_account(folder / "tuning", tuned, config, inputs, started, table)
    _say_result(out, tuned)


@finetune_app.command()
def faces(
    cfg: Cfg, table: Table, resume: Resume, out: OutFolder, threads: Threads = 1, gpu_mb: GpuMb = 0
) -> None:
    """Tune VGG-Face on AffectNet's seven emotions; the folder serves as `vgg_face_affectnet`'s `weights`.

    The table has the columns path, label, split and, where the image is more than the face, x0, y0, x1, y1.

    Example: avemo finetune faces --cfg '{"weights": "vgg_face_dag"}' --table affectnet.csv
    --resume .resume/faces --out weights/vgg_face_affectnet
    """
    use_threads(threads)
    _require_own(out)
    from torch.nn.functional import cross_entropy

    from avemo.base.atomic import aside_folder
    from avemo.base.devices import choose_device
    from avemo.finetuning.faces import (
        FaceSides,
        FaceTuning,
        class_report,
        read_pictures,
        save_tuned,
        scores,
        start_network,
    )
    from avemo.finetuning.loop import predict, tune
    from avemo.machine.gpus import use_gpu
    from avemo.study.config import parse
    from avemo.weights.find import find, sha256_path

    started = time.time()
    config = parse(FaceTuning, as_mapping(cfg), "finetune.faces")
    use_gpu(gpu_mb, config.device)
    read = read_pictures(table, config.classes)
    weights = find(config.weights)
    model, sides = start_network(weights, config), FaceSides(read, config)
    inputs = {"table": sha256_path(table), **weights.provenance()}
    typer.echo(f"{len(read['train'])} pictures to train on, {len(read['dev'])} to choose the epoch by")
    told = {"progress": _say_epoch, "items": _item_counter()}
    tuned = tune(model, sides, config, cross_entropy, scores, run_id=f"faces {inputs}", folder=resume, **told)
    model.load_state_dict(tuned.best_state)
    outputs, targets, _ = predict(model, sides.dev(), choose_device(config.device, "training.device"))
    with aside_folder(out) as folder:
        save_tuned(folder, model, config)
        _write_account(folder / "tuning", tuned, config, inputs, started, table)
        _write_classes(folder / "tuning", class_report(outputs, targets, config.classes))
    _say_result(out, tuned)


def _write_classes(folder: Path, report: dict[str, Any]) -> None:
    """``classes.csv`` and ``classes.json``: scores of each class on the dev side, at the kept epoch."""
    import json

    import pandas as pd

    pd.DataFrame(report["classes"]).to_csv(folder / "classes.csv", index=False)
    (folder / "classes.json").write_text(json.dumps(report, indent=1) + "\n")


def _say_result(out: Path, tuned: Any) -> None:
    best = tuned.history[tuned.best_epoch - 1]
    typer.echo(f"{out}: epoch {tuned.best_epoch}, dev loss {best['dev_loss']:.4f}")


def _require_own(out: Path) -> None:
    """Raise `AvemoError` if ``out`` holds anything that fine-tuning has not written: it will be replaced."""
    from avemo.base.contracts import AvemoError

    if out.exists() and not (out / "tuning" / "run.json").is_file():
        raise AvemoError(
            f"{out}: expected a new name, or a folder that fine-tuning wrote, found another; "
            "its content would be lost; give --out a name of its own"
        )


def _write_account(
    folder: Path, tuned: Any, config: Any, inputs: dict[str, Any], started: float, table: Path
) -> None:
    """``history.csv``, a row an epoch, ``examples.csv``, on which files, and ``run.json``: what made it, at what cost."""
    import json

    import pandas as pd

    from avemo.finetuning.trained_on import write_list
    from avemo.training.record import run_record

    folder.mkdir()
    write_list(table, folder / "examples.csv")
    pd.DataFrame(tuned.history).to_csv(folder / "history.csv", index=False)
    dumped = config.model_dump(mode="json")
    record = run_record(dumped, seed=config.seed, inputs=inputs, started=started)
    record |= {"best_epoch": tuned.best_epoch, "best": tuned.history[tuned.best_epoch - 1]}
    (folder / "run.json").write_text(json.dumps(record, indent=1) + "\n")


def _say_epoch(epoch: int, epochs: int, row: dict[str, Any]) -> None:
    numbers = ", ".join(f"{name} {value:.4f}" for name, value in row.items() if name != "epoch")
    typer.echo(f"epoch {epoch} of {epochs}: {numbers}")


def _item_counter() -> Any:
    """Counts examples within each epoch."""
    counters: dict[int, Counter] = {}

    def told(epoch: int, done: int, total: int) -> None:
        counters.setdefault(epoch, Counter(f"epoch {epoch}"))(done, total)

    return told
