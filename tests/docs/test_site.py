"""The site: it is built without a warning, and its pages can be read in a real browser."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from browser import Browser, started
from page_checks import faults
from pages import REPOSITORY

LOOKED_AT = (
    "index.html",
    "tutorials/own_clips.html",
    "reference/config.html",
    "architecture.html",
    "fidelity.html",
)
"""Pages of each kind: lists, code, the widest tables, a drawing."""


class Quiet(SimpleHTTPRequestHandler):
    """Serves a folder and prints nothing."""

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    if not (importlib.util.find_spec("mkdocs") and importlib.util.find_spec("material")):
        pytest.skip("no mkdocs-material here, which envs/requirements.lock has: `make .venv/installed`")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def address(site) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def browser(tmp_path_factory) -> Iterator[Browser]:
    with started(tmp_path_factory.mktemp("browser")) as browser:
        yield browser


def test_it_is_built_strictly_with_a_page_for_each_page(site):
    written = {
        path.relative_to(REPOSITORY / "docs").with_suffix(".html")
        for path in (REPOSITORY / "docs").rglob("*.md")
    }
    assert {path.relative_to(site) for path in site.rglob("*.html")} == written | {Path("404.html")}


@pytest.mark.parametrize("name", LOOKED_AT)
def test_its_pages_are_whole_and_can_be_read(site, address, browser, name):
    assert faults(browser, site / name, served=(address, site)) == []


def test_its_search_finds_a_page(site, address, browser):
    browser.show_as()
    browser.resize(1280)
    browser.open(f"{address}/index.html")
    typed = "document.querySelector('.md-search__input')"
    browser.run(
        f"{typed}.focus(), {typed}.value = 'nadeau', {typed}.dispatchEvent(new KeyboardEvent('keyup')), true"
    )
    found = browser.run(
        "new Promise(done => { const look = () => { const a = document.querySelector('.md-search-result__link');"
        " a ? done(a.getAttribute('href')) : setTimeout(look, 100); }; look(); })"
    )
    assert "statistics" in found
