"""Components: what a class must declare, how a config names those of other packages, and what of those enters keys."""

import sys
from pathlib import Path

import pytest

from avemo.base import component
from avemo.base.contracts import AvemoError, ConfigError
from avemo.corpora import CORPORA
from avemo.features import EXTRACTORS
from avemo.models import MODELS
from avemo.study.config import read_config
from avemo.study.kept import resolve_cached
from avemo.study.study import resolve_study

SHARES = """
from avemo.base.contracts import ComponentConfig, FeatureSequence
from avemo.features.base import AudioExtractor


class Shares(AudioExtractor):
    name, version, dim = "shares", 2, 1

    class Config(ComponentConfig):
        pass

    def extract(self, signal):
        return FeatureSequence(signal[:, None], signal)


class Nameless(Shares):
    name = "not/fit"
    version = 0


class Half(AudioExtractor):
    name, Config = "half", dict
"""


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the import path with a module ``mylab``."""
    (tmp_path / "mylab.py").write_text(SHARES)
    monkeypatch.syspath_prepend(tmp_path)
    for module in [name for name in sys.modules if name.split(".")[0] == "mylab"]:
        # Another test may have imported another laboratory.
        monkeypatch.delitem(sys.modules, module)
    component.maker_of.cache_clear()
    yield tmp_path
    sys.modules.pop("mylab", None)
    component.maker_of.cache_clear()


def install(folder: Path, version: str) -> None:
    """What pip leaves of a distribution that offers the module's class under a name."""
    info = folder / f"mylab_avemo-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: mylab-avemo\nVersion: {version}\n")
    (info / "entry_points.txt").write_text("[avemo.extractors]\nour_shares = mylab:Shares\n")


@pytest.mark.parametrize("registry", [CORPORA, EXTRACTORS, MODELS], ids=lambda registry: registry.kind)
def test_what_this_package_registers_is_whole_and_released_as_its_version_alone(registry):
    for name in registry:
        found = registry.load(name)
        assert found.release() == found.version
        assert getattr(found, "name", name) == name


def test_a_path_names_a_class_of_any_module_and_an_installed_package_may_give_it_a_name(elsewhere):
    by_path = EXTRACTORS.load("mylab:Shares")
    assert by_path.release() == "2 of mylab"
    install(elsewhere, "0.3")
    component.maker_of.cache_clear()
    assert EXTRACTORS.load("our_shares") is by_path
    assert by_path.release() == "2 of mylab-avemo 0.3"
    with pytest.raises(ConfigError, match="unknown extractor 'our_share'; did you mean 'our_shares'"):
        EXTRACTORS.load("our_share")
    assert "our_shares" not in EXTRACTORS


def test_another_release_of_the_package_makes_other_keys(elsewhere):
    install(elsewhere, "0.3")
    extractor = EXTRACTORS.load("our_shares")
    before = extractor(extractor.Config()).key_part()
    (elsewhere / "mylab_avemo-0.3.dist-info").rename(elsewhere / "old")
    install(elsewhere, "0.4")
    component.maker_of.cache_clear()
    assert extractor(extractor.Config()).key_part() != before


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere:Shares", "expected a class at nowhere:Shares, found ModuleNotFoundError.*PYTHONPATH"),
        ("mylab:Share", "expected a class at mylab:Share, found AttributeError"),
        ("mylab:AudioExtractor", "expected the class variable 'name', found none.*'extract' to be written"),
        ("mylab:ComponentConfig", "expected a subclass of avemo.features.base.Extractor"),
        ("mylab:Nameless", "expected a name of letters.* found 'not/fit'.*number from 1 on, found 0"),
        (
            "mylab:Half",
            "the class variable 'version', found none.*'extract' to be written.*a Config derived from",
        ),
    ],
)
def test_what_a_class_lacks_is_named(elsewhere, name, message):
    with pytest.raises(ConfigError, match=message):
        EXTRACTORS.load(name)


def test_a_corpus_says_which_field_of_its_config_is_its_place(monkeypatch):
    table = CORPORA.load("table")
    monkeypatch.setattr(table, "place", "root")
    with pytest.raises(
        AvemoError, match="expected a field 'root' of Config, as the class variable 'place' says"
    ):
        CORPORA.load("table")


def test_the_folder_of_a_feature_has_the_class_name_and_no_part_of_its_path(elsewhere, repository, tmp_path):
    demo = read_config(repository / "config" / "config.yaml")
    demo["features"]["audio"] = {"extractor": "mylab:Shares"}
    feature = resolve_study(demo).run().features["audio"]
    assert feature.id.startswith("shares-")
    assert feature.version == "2 of mylab"


def test_a_component_of_another_package_is_resolved_again_when_its_source_changes(
    elsewhere, repository, tmp_path, monkeypatch
):
    demo = read_config(repository / "config" / "config.yaml")
    demo["features"]["audio"] = {"extractor": "mylab:Shares"}
    monkeypatch.setenv("PYTHONPATH", f"{elsewhere}:{repository / 'pipeline'}")
    ids = []
    for text in (SHARES, SHARES.replace('"shares", 2', '"shares", 3'), SHARES):
        (elsewhere / "mylab.py").write_text(text)
        ids.append(resolve_cached(demo, tmp_path / "known").run().features["audio"].id)
    assert ids[0] == ids[2] != ids[1]


def test_what_no_longer_can_be_loaded_is_said_although_it_was_resolved_before(
    elsewhere, repository, tmp_path, monkeypatch
):
    demo = read_config(repository / "config" / "config.yaml")
    demo["features"]["audio"] = {"extractor": "mylab:Shares"}
    monkeypatch.setenv("PYTHONPATH", f"{elsewhere}:{repository / 'pipeline'}")
    resolve_cached(demo, tmp_path / "known")
    (elsewhere / "mylab.py").unlink()
    with pytest.raises(AvemoError, match="expected a class at mylab:Shares"):
        resolve_cached(demo, tmp_path / "known")
