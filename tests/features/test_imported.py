"""Other programs' features: every kind of file against the arrays that were written, and what is refused."""

import os
import pickle
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

from avemo.base.contracts import AvemoError, ClipFailure, ConfigError, MachineError
from avemo.features.imported import ImportedVisual
from avemo.study.study import resolve_study
from avemo.weights.find import quick_identity

DATA = Path(__file__).parents[3] / "shared" / "data" / "ravdess"
RNG = np.random.default_rng(0)
CLIPS = {name: RNG.normal(size=(n, 3)).astype(np.float32) for name, n in (("anna_01", 4), ("ben_02", 2))}
ROWS = {name: x[0] for name, x in CLIPS.items()}


def times_of(x: np.ndarray) -> np.ndarray:
    return 0.04 * np.arange(len(x)) + 0.02


def frames_table() -> pd.DataFrame:
    tables = [
        pd.DataFrame(x, columns=["a", "b", "c"]).assign(clip_id=name, time_s=times_of(x))
        for name, x in CLIPS.items()
    ]
    return pd.concat(tables, ignore_index=True)


def write_folder(folder: Path, ending: str) -> Path:
    folder.mkdir()
    for name, x in CLIPS.items():
        path = folder / f"{name}{ending}"
        if ending == ".npy":
            np.save(path, x)
        elif ending == ".npz":
            np.savez(path, x=x, times_s=times_of(x))
        else:
            pd.DataFrame(x, columns=["a", "b", "c"]).assign(time_s=times_of(x)).to_csv(path, index=False)
    return folder


def write_h5(path: Path) -> Path:
    with h5py.File(path, "w") as file:
        file["anna_01"] = CLIPS["anna_01"]
        file["ben_02/x"], file["ben_02/times_s"] = CLIPS["ben_02"], times_of(CLIPS["ben_02"])
    return path


def extractor(file: Path, **fields) -> ImportedVisual:
    return ImportedVisual(ImportedVisual.Config(file=str(file), **fields))


def made(kind: str, folder: Path) -> tuple[Path, dict]:
    """A file of this kind, and the fields that read it."""
    if kind == ".csv":
        frames_table().to_csv(folder / "all.csv", index=False)
        return folder / "all.csv", {"times": "time_s"}
    if kind == ".parquet":
        frames_table().to_parquet(folder / "all.parquet")
        return folder / "all.parquet", {"times": "time_s"}
    if kind == ".h5":
        return write_h5(folder / "all.h5"), {"fps": 25}
    ending = kind.removeprefix("folder of ")
    fields = {".npy": {"fps": 25}, ".npz": {}, ".csv": {"times": "time_s"}}[ending]
    return write_folder(folder / "clips", ending), fields


@pytest.mark.parametrize(
    "kind", [".csv", ".parquet", ".h5", "folder of .npy", "folder of .npz", "folder of .csv"]
)
def test_frames_are_those_that_were_written(tmp_path, kind):
    file, fields = made(kind, tmp_path)
    found = extractor(file, **fields)
    assert found.dim == 3
    for name, x in CLIPS.items():
        frames = found.read(name)
        np.testing.assert_allclose(frames.x, x, rtol=1e-6)
        np.testing.assert_allclose(frames.times_s, times_of(x), atol=1e-9)
    with pytest.raises(
        ClipFailure, match=r"^nobody: not_imported: no features in .*; add the clip to the file"
    ):
        found.read("nobody")


def test_a_row_a_clip_is_one_frame(tmp_path):
    table = pd.DataFrame(ROWS, index=["a", "b", "c"]).T.rename_axis("name").reset_index()
    table.to_csv(tmp_path / "rows.csv", index=False)
    found = extractor(tmp_path / "rows.csv", id="name")
    for name, x in ROWS.items():
        np.testing.assert_allclose(found.read(name).x, x[None], rtol=1e-6)
    np.testing.assert_allclose(
        extractor(tmp_path / "rows.csv", id="name", columns=("b",)).read("ben_02").x,
        ROWS["ben_02"][None, 1:2],
        rtol=1e-6,
    )


def test_openfaces_own_csv_is_read_without_the_frames_in_which_it_saw_nothing(tmp_path):
    header = "frame, face_id, timestamp, confidence, success, gaze_angle_x, pose_Rx, AU01_r, AU12_c"
    rows = [
        "1, 0, 0.000, 0.98, 1, 0.1, 0.2, 1.5, 1",
        "2, 0, 0.040, 0.0, 0, 0, 0, 0, 0",
        "3, 0, 0.080, 0.9, 1, 0.3, 0.4, 2.5, 0",
    ]
    (tmp_path / "anna_01.csv").write_text("\n".join([header, *rows]))
    found = extractor(tmp_path, preset="openface").read("anna_01")
    np.testing.assert_allclose(found.x, [[0.1, 0.2, 1.5, 1], [0.3, 0.4, 2.5, 0]], rtol=1e-6)
    np.testing.assert_allclose(found.times_s, [0.0, 0.08])


def test_py_feats_own_csv_takes_times_from_its_rows(tmp_path):
    table = pd.DataFrame(
        {
            "FaceScore": [0.9, np.nan, 0.8],
            "AU01": [1, np.nan, 3],
            "anger": [0.1, np.nan, 0.3],
            "Pitch": [1.0, np.nan, 2.0],
            "input": "anna.mp4",
        }
    )
    table.to_csv(tmp_path / "anna_01.csv", index=False)
    found = extractor(tmp_path, preset="py-feat", fps=25).read("anna_01")
    np.testing.assert_allclose(found.x, [[1, 0.1, 1], [3, 0.3, 2]], rtol=1e-6)
    np.testing.assert_allclose(found.times_s, [0.02, 0.1])


def test_the_key_is_the_files_bytes_and_not_its_name(tmp_path):
    file, fields = made(".csv", tmp_path)
    before = extractor(file, **fields).key_part()
    moved = file.rename(tmp_path / "moved.csv")
    assert extractor(moved, **fields).key_part() == before
    moved.write_text(moved.read_text().replace("anna_01", "anna_09"))
    assert extractor(moved, **fields).key_part() != before
    folder = write_folder(tmp_path / "clips", ".npy")
    before = extractor(folder, fps=25).key_part()
    np.save(folder / "ben_02.npy", 2 * CLIPS["ben_02"])
    assert extractor(folder, fps=25).key_part() != before


def test_what_cannot_be_read_is_refused_with_a_reason(tmp_path):
    file, _ = made(".csv", tmp_path)
    cases = [
        (file, {}, r"anna_01: expected one row, or times of its 4 rows, found none; say .* `times`"),
        (file, {"id": "clip"}, r"expected a column 'clip'; did you mean 'clip_id'"),
        (file, {"times": "seconds"}, r"expected a column 'seconds'"),
        (file, {"times": "time_s", "columns": ("AU*",)}, r"expected columns like AU\*, found a, b, c"),
        (tmp_path / "nowhere.csv", {}, r"nowhere\.csv: expected a file"),
    ]
    (tmp_path / "notes.txt").write_text("x")
    cases.append((tmp_path / "notes.txt", {}, r"expected \.csv, \.parquet, \.h5 or a folder .*, found \.txt"))
    words = tmp_path / "words.csv"
    words.write_text("clip_id,mood,a\nanna_01,calm,1\n")
    cases.append((words, {}, r"expected numbers in every column, found others in mood"))
    for path, fields, message in cases:
        with pytest.raises(AvemoError, match=message):
            extractor(path, **fields)


def test_nothing_is_unpickled(tmp_path):
    ran = tmp_path / "ran"

    class Bad:
        def __reduce__(self):
            return (Path.touch, (ran,))

    (tmp_path / "mosi.pkl").write_bytes(pickle.dumps({"train": Bad()}))
    with pytest.raises(AvemoError, match=r"found a pickle, which runs its author's code"):
        extractor(tmp_path / "mosi.pkl")
    folder = tmp_path / "clips"
    folder.mkdir()
    np.save(folder / "anna_01.npy", np.array([Bad()], dtype=object), allow_pickle=True)
    with pytest.raises(AvemoError, match=r"anna_01\.npy: expected an array"):
        extractor(folder)
    assert not ran.exists()


def test_a_dataset_in_another_file_is_refused(tmp_path):
    write_h5(tmp_path / "secret.h5")
    with h5py.File(tmp_path / "all.h5", "w") as file:
        file["anna_01"] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "anna_01")
    with pytest.raises(AvemoError, match="a dataset that lies in another file"):
        extractor(tmp_path / "all.h5", fps=25)


def test_a_run_of_imported_features_tracks_no_face(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made(".csv", tmp_path)
    visual = {"extractor": "imported_visual", "config": {"file": "all.csv", "times": "time_s"}}
    raw = {
        "run": "mine",
        "corpus": {"name": "table", "config": {"csv": "clips.csv"}},
        "crops": {"cache": "jpeg"},
        "features": {"visual": visual},
        "systems": {"mult": {"model": "mult"}},
    }
    run = resolve_study(raw).run()
    assert set(run.components) == {"visual"}
    first = run.features["visual"].id
    (tmp_path / "all.csv").write_text("clip_id,time_s,a\nanna_01,0,1\n")
    assert resolve_study(raw).run().features["visual"].id != first


@pytest.mark.skipif(not DATA.is_dir(), reason="shared/data/ravdess is not here")
def test_real_statistics_of_faces_are_read_as_they_are():
    table = pd.read_csv(DATA / "face_statistics.csv").set_index("clip_id")
    found = extractor(DATA / "face_statistics.csv")
    assert found.dim == 56
    for name in table.index[::60]:
        np.testing.assert_allclose(found.read(name).x[0], table.loc[name].to_numpy(np.float32), rtol=1e-6)


def test_an_unknown_column_is_the_configs_fault(tmp_path):
    file, _ = made(".csv", tmp_path)
    with pytest.raises(ConfigError):
        extractor(file, times="seconds")


@pytest.mark.parametrize("head", ["clip_id", " clip_id "])
def test_ids_that_read_like_nothing_or_like_numbers_are_ids(tmp_path, head):
    names = ["NA", "null", "007", "1", "1e3", "nan", "True"]
    rows = [f"{name},{n}.5,{n}.25" for n, name in enumerate(names)]
    (tmp_path / "all.csv").write_text("\n".join([f"{head},a,b", *rows]))
    found = extractor(tmp_path / "all.csv")
    for n, name in enumerate(names):
        assert found.read(name).x.tolist() == [[n + 0.5, n + 0.25]]


def test_every_array_of_a_folder_counts_whatever_lies_beside_it(tmp_path):
    folder = write_folder(tmp_path / "arrays", ".npy")
    (folder / "info.json").write_text("{}")
    before = extractor(folder, fps=25).key_part(), quick_identity(str(folder), tmp_path / "memory.json")
    np.save(folder / "anna_01.npy", CLIPS["anna_01"] + 1)
    after = extractor(folder, fps=25).key_part(), quick_identity(str(folder), tmp_path / "memory.json")
    assert before[0] != after[0]
    assert before[1] != after[1]
    (folder / "model.safetensors").write_text("")
    with pytest.raises(AvemoError, match=r"arrays: expected a folder of \.npy.*found model.safetensors"):
        extractor(folder, fps=25)


@pytest.mark.parametrize("kind", [".h5", ".npy"])
def test_a_file_that_changes_while_it_is_imported_stops_the_job(kind, tmp_path):
    place = write_h5(tmp_path / "all.h5") if kind == ".h5" else write_folder(tmp_path / "arrays", kind)
    found = extractor(place, fps=25)
    assert found.identity == found.provenance()["file"]
    found.read("anna_01")
    changed = place if kind == ".h5" else place / "anna_01.npy"
    stat = changed.stat()
    content = changed.read_bytes()
    changed.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    os.utime(changed, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    with pytest.raises(MachineError, match="anna_01: expected a file at rest, found it changed"):
        found.read("anna_01")
