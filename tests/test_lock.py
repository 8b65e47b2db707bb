"""The lock: names, versions and hashes, and no addresses."""

import re


def test_every_requirement_is_pinned_and_hashed_and_no_address_is_named(repository):
    text = (repository / "envs" / "requirements.lock").read_text()
    entries = re.split(r"\n(?=\S)", text.strip())
    assert len(entries) > 100
    for entry in entries:
        assert re.match(r"[A-Za-z0-9._-]+(\[[a-z,-]+\])?==\S+", entry), entry[:80]
        assert "--hash=sha256:" in entry
    assert "://" not in text
    assert "index" not in re.sub(r"^[A-Za-z0-9._-]+==.*$", "", text, flags=re.MULTILINE)
