"""By which code the things in a job's folder were made, when a job goes on with what another has left."""

from __future__ import annotations

import pytest

from avemo.progress.shard_records import MadeBy, read_record, take_up, write_record

OLD, NEW = {"a.py": "1"}, {"a.py": "2"}


@pytest.mark.parametrize(
    ("kept", "there", "lacking", "rerun", "made", "forgotten"),
    [
        (None, 0, 3, False, NEW, False),
        (OLD, 3, 0, False, OLD, False),
        (OLD, 2, 1, False, {"a.py": "1 2"}, False),
        ({"a.py": "1 2"}, 2, 1, False, {"a.py": "1 2"}, False),
        (OLD, 0, 3, False, NEW, False),
        (NEW, 2, 1, False, NEW, False),
        (None, 2, 1, False, {}, False),
        (OLD, 3, 0, True, NEW, True),
        (OLD, 2, 1, True, NEW, True),
        (NEW, 3, 0, True, NEW, False),
        # Nothing says that other code has made it.
        (None, 3, 0, True, {}, False),
    ],
)
def test_what_a_job_goes_on_with_counts(tmp_path, kept, there, lacking, rerun, made, forgotten):
    if kept is not None:
        write_record(tmp_path, MadeBy(kept))
    calls: list[str] = []
    found = take_up(
        tmp_path, NEW, there=there, lacking=lacking, rerun=rerun, forget=lambda: calls.append("forgotten")
    )
    assert (found, bool(calls)) == (made, forgotten)
    noted = read_record(tmp_path, MadeBy)
    assert (noted.code if noted else {}) == made


def test_what_is_forgotten_is_noted_only_after_it_is_gone(tmp_path):
    """A job killed in between begins anew."""
    write_record(tmp_path, MadeBy(OLD))

    def die() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        take_up(tmp_path, NEW, there=3, lacking=0, rerun=True, forget=die)
    assert read_record(tmp_path, MadeBy) == MadeBy(OLD)
