"""One run or a paper's several: how they are laid over their base, and what they share."""

from functools import partial
from pathlib import Path

import pytest

from avemo.base.component import RESIDENT_MB, Work
from avemo.base.contracts import AvemoError
from avemo.corpora.base import MARKER
from avemo.faces.track import FaceTracker
from avemo.index.media_hashes import HashCache
from avemo.models import MODELS
from avemo.papers.definitions import papers, read_paper
from avemo.study.config import read_config
from avemo.study.kept import Kept, resolve_cached
from avemo.study.layers import expand, overlaid
from avemo.study.resolve import resolve
from avemo.study.specs import settings
from avemo.study.study import read_record, read_run, resolve_study


@pytest.fixture
def demo(repository: Path) -> dict:
    return read_config(repository / "config" / "config.yaml")


@pytest.fixture
def paper(demo: dict) -> dict:
    """Two runs of the demo under two label rules."""
    base = {key: value for key, value in demo.items() if key != "run"}
    rules = {"plurality": {}, "intended": {"corpus": {"labels": {"rule": "intended"}}}}
    return base | {"paper": "two", "runs": rules}


def test_a_single_run_is_a_study_of_one(demo):
    study = resolve_study(demo)
    assert study.runs == {"demo": resolve(demo)}
    assert study.paper is None
    assert study.run() == study.runs["demo"]
    assert str(study.layouts["demo"].report) == "results/demo/report.html"


def test_a_papers_runs_are_laid_over_their_base(paper):
    paper["runs"]["intended"] |= {
        "systems": {"mult": {"config": {"width": 16}}, "av_ladder": None},
        "splits": {"n": 3},
    }
    study = resolve_study(paper)
    first, second = study.runs.values()
    assert first.corpus.labels["rule"] == "plurality"
    assert second.corpus.labels["rule"] == "intended"
    assert (first.splits.n, second.splits.n) == (5, 3)
    assert list(second.systems) == ["auxformer", "mult", "parthasarathy"]
    assert second.systems["mult"].config["width"] == 16
    assert second.systems["mult"].config["heads"] == 2
    assert str(study.layouts["intended"].report) == "results/two/intended/report.html"


def test_runs_on_one_corpus_share_its_caches(paper):
    study = resolve_study(paper)
    assert list(study.corpora) == ["demo"]
    assert [stage for stage, _ in study.components.values()] == ["faces", "audio", "visual"]
    assert len({layout.index for layout in study.layouts.values()}) == 1


def test_another_extractor_of_one_run_is_one_component_more(paper):
    paper["runs"]["intended"]["features"] = {"audio": {"config": {"pitch_window": "all32"}}}
    stages = [stage for stage, _ in resolve_study(paper).components.values()]
    assert sorted(stages) == ["audio", "audio", "faces", "visual"]


@pytest.mark.parametrize(
    ("corpus", "difference"), [({"shards": 5}, "shards"), ({"config": {"actors": 9}}, "config")]
)
def test_different_corpora_need_different_ids(paper, corpus, difference):
    paper["runs"]["intended"]["corpus"] |= corpus
    with pytest.raises(AvemoError, match=f"one corpus under the id 'demo', found different {difference}"):
        resolve_study(paper)
    paper["runs"]["intended"]["corpus"]["id"] = "other"
    assert set(resolve_study(paper).corpora) == {"demo", "other"}


def test_an_error_names_its_run(paper):
    paper["runs"]["intended"]["splits"] = {"sead": 1}
    with pytest.raises(AvemoError, match=r"^config: run intended: unknown key 'splits.sead'"):
        resolve_study(paper)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"paper": "a/b"}, "paper: expected a name of at most 100 letters"),
        ({"paper": "a\n"}, "paper: expected a name of at most 100 letters"),
        ({"runs": {"tables": {}}}, "runs.tables: expected a name that no folder of the paper has"),
        ({"results": ["a"]}, "results: expected a folder"),
        ({"paths": ["a"]}, "paths: expected a text for each name"),
        ({"runs": {}}, "runs: expected a mapping of at least one run"),
        ({"run": "x"}, "run: expected no such key beside `runs`"),
        ({"runs": {"one": {"cache": "elsewhere"}}}, r"runs\.one\.cache: it holds for all runs"),
        ({"runs": {"one": None}}, r"runs\.one: expected the run's keys, found None"),
    ],
)
def test_a_malformed_paper_is_named(paper, change, message):
    with pytest.raises(AvemoError, match=message):
        expand(paper | change)


def test_an_unknown_run_answers_with_the_known_ones(paper):
    study = resolve_study(paper)
    with pytest.raises(AvemoError, match="expected --run to be one of plurality, intended, found 'none'"):
        study.run()
    with pytest.raises(AvemoError, match="did you mean 'intended'"):
        study.run("intend")


def test_a_component_that_no_run_uses_is_named(paper):
    with pytest.raises(AvemoError, match="no run of this config uses demo/compare_lld-0; those of its runs"):
        resolve_study(paper).component_spec("demo", "compare_lld-0")


def test_speed_settings_are_found_by_what_a_job_works_on(paper):
    paper["faces"] = {"device": "cpu"}
    paper["runs"]["intended"]["training"] = {"device": "cpu"}
    study = resolve_study(paper)
    speed = settings(study.runs).speed
    assert speed[study.runs["intended"].faces.id]["device"] == "cpu"
    assert speed["intended/mult"]["device"] == "cpu"
    assert speed["plurality/mult"]["device"] == "auto"
    assert "jobs" in speed["demo"]


def test_paths_are_written_once_and_an_unknown_one_is_named(paper):
    paper |= {"paths": {"made": "elsewhere"}}
    paper["runs"] = {"one": {"corpus": {"config": {"root": "${made}/corpus"}}}}
    assert resolve_study(paper).run("one").corpus.config["root"] == "elsewhere/corpus"
    paper["runs"]["one"]["corpus"]["config"]["root"] = "${maid}"
    with pytest.raises(AvemoError, match=r"runs.one.corpus.config.root: no 'maid' among paths.*'made'"):
        resolve_study(paper)


def test_null_sets_a_value_to_none_and_takes_a_mapping_away():
    laid = overlaid(
        {"training": {"clip_norm": 0.8}, "systems": {"a": {}, "b": {}}},
        {"training": {"clip_norm": None}, "systems": {"a": None}},
    )
    assert laid == {"training": {"clip_norm": None}, "systems": {"b": {}}}


def test_nothing_that_is_not_a_mapping_is_joined():
    assert overlaid({"a": [1, 2], "b": {"c": 1}}, {"a": [3], "b": 4}) == {"a": [3], "b": 4}


def test_the_cached_resolution_is_the_same_and_is_made_once(demo, tmp_path):
    first = resolve_cached(demo, tmp_path)
    (cached,) = tmp_path.iterdir()
    assert first == resolve_study(demo)
    kept = Kept.model_validate_json(cached.read_text())
    assert first == kept.study
    cached.write_text(cached.read_text().replace("MulT", "from the cache"))
    assert resolve_cached(demo, tmp_path).run().systems["mult"].title == "from the cache"
    assert resolve_cached(demo | {"run": "other"}, tmp_path).run().run == "other"


def test_a_generated_corpus_whose_folder_is_away_still_counts_as_generated(demo, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    demo["corpus"] = {"name": "crema_d", "config": {"root": "clips"}}
    film = Path("clips/VideoFlash/1001_DFA_ANG_XX.flv")
    film.parent.mkdir(parents=True)
    film.write_bytes(b"film")
    assert not resolve_cached(demo, tmp_path / "known").run().corpus.synthetic
    Path("clips", MARKER).touch()
    study = resolve_cached(demo, tmp_path / "known")
    assert study.run().corpus.synthetic
    hashes = HashCache(study.layouts["demo"].hashes)
    hashes.sha256(film)
    hashes.keep_synthetic(True)
    hashes.path.parent.mkdir(parents=True)
    hashes.save()
    Path("clips").rename("away")
    assert resolve_cached(demo, tmp_path / "known").run().corpus.synthetic


@pytest.mark.parametrize("several", [False, True])
def test_the_cached_resolution_follows_the_weights_bytes(demo, paper, several, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = paper if several else demo
    config["features"]["visual"]["config"]["weights"] = "a.pt"
    ids = []
    for content in (b"abc", b"abcd", b"abc"):
        (tmp_path / "a.pt").write_bytes(content)
        study = resolve_cached(config)
        (found,) = {run.features["visual"].id for run in study.runs.values()}
        ids.append(found)
    assert ids[0] == ids[2] != ids[1]


def test_what_jobs_ask_for_is_what_their_components_declare_and_triggers_nothing(demo, monkeypatch):
    before = resolve_study(demo)
    run = before.run()
    assert before.work(run, "faces") == FaceTracker.work
    assert before.component_work("demo", run.features["visual"].id).gpu_mb == 8000
    assert before.work(run, "audio").gpu_mb == 0
    monkeypatch.setattr(MODELS.load("mult"), "work", Work(seconds=9.0))
    after = resolve_study(demo)
    assert after.work(after.run(), "systems/mult") == Work(seconds=9.0)
    assert after.record() == before.record()
    with pytest.raises(AvemoError, match="no run of this config uses demo/other"):
        after.component_work("demo", "other")


def test_a_trainings_share_of_a_gpu_follows_batch_and_longest_clip(demo):
    demo["systems"]["mult"].setdefault("training", {})["batch_size"] = 64
    study = resolve_study(demo)
    ask = partial(study.training_gpu_mb, study.run().run, "mult")
    work = MODELS.load("mult").work
    # compare_lld makes 62.5 frames a second, faces at most 30.
    assert ask(4.0, 100.0) == work.training_gpu_mb(64 * 4 * 92.5) + 90
    assert work.gpu_mb < ask(2.0, 0.0) < ask(4.0, 0.0)
    assert ask(4.0, 1e9) == ask(4.0, 0.0) + RESIDENT_MB


def test_another_order_of_systems_is_another_study(demo, tmp_path):
    resolve_cached(demo, tmp_path)
    demo["systems"] = dict(reversed(demo["systems"].items()))
    assert next(iter(resolve_cached(demo, tmp_path).run().systems)) == "parthasarathy"


def test_errors_of_the_child_process_reach_the_caller(demo, tmp_path):
    with pytest.raises(AvemoError, match="unknown key 'x'"):
        resolve_cached(demo | {"x": 1}, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("paper_name", papers())
@pytest.mark.parametrize("mini", [False, True])
def test_each_papers_config_has_all_that_its_tables_show(repository, paper_name, mini):
    folder = repository / "config" / "papers"
    raw = read_config(folder / f"{paper_name}.yaml")
    if mini:
        raw = overlaid(raw, read_config(folder / "mini" / f"{paper_name}.yaml"))
    study = resolve_study(raw)
    for table in read_paper(study.tables).tables:
        for row in table.rows:
            for at in (table.address(row, column) for column in table.columns):
                assert at.label or at.system in study.runs[at.run].systems


@pytest.mark.parametrize(
    ("paper_name", "splits", "tail"),
    [
        ("auxformer", 20, "greater"),
        ("av_ladder", 20, "greater"),
        ("vavl", 5, "two-sided"),
        ("colearning", 1, "greater"),
    ],
)
def test_the_papers_protocols(repository, paper_name, splits, tail):
    study = resolve_study(read_config(repository / "config" / "papers" / f"{paper_name}.yaml"))
    # A weight is searched for on some splits' dev sides.
    assert {run.splits.n for name, run in study.runs.items() if name != "lambda_search"} == {splits}
    assert {run.tests.tail for run in study.runs.values()} == {tail}


@pytest.mark.parametrize("text", ["", "{}", "[", '{"run": 1}', "[" * 100_000])
def test_a_record_that_no_run_wrote_is_named(tmp_path, text):
    for name, read in (
        ("config.json", read_run),
        ("paper.json", lambda folder: read_record(folder / "paper.json")),
    ):
        with pytest.raises(AvemoError, match=f"{name}: expected the config that a run leaves"):
            read(tmp_path)
        (tmp_path / name).write_text(text)
        with pytest.raises(AvemoError, match=f"{name}: expected the config that a run leaves") as error:
            read(tmp_path)
        assert len(str(error.value)) < 800
        (tmp_path / name).unlink()
