"""Chromium without a window, spoken to over a pair of pipes in the DevTools protocol."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run")
# It looks for updates and more otherwise; pages under test load nothing from elsewhere.
OFFLINE = (
    "--disable-background-networking",
    "--disable-component-update",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
LEVELS = ("error", "warning", "assert")


class Browser:
    """One page of a running Chromium. What its console says of errors and warnings gathers in ``complaints``."""

    def __init__(self, send: int, receive: int):
        self._send, self._receive, self._buffer = send, receive, b""
        self._count, self._session, self.complaints = 0, "", list[str]()
        self._loaded = False
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._call(f"{domain}.enable")

    def open(self, page: Path | str) -> None:
        """Load a file or an address and wait until all of it is there; ``complaints`` begin anew."""
        self.complaints, self._loaded = [], False
        self._call("Page.navigate", url=page if isinstance(page, str) else page.resolve().as_uri())
        while not self._loaded:
            self._note(self._next())
        self.run("document.fonts.ready.then(() => true)")

    def run(self, script: str) -> Any:
        """The value of an expression on the page, as JSON; promises are awaited."""
        found = self._call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def resize(self, width: int, height: int = 900) -> None:
        """Give the window this size in CSS pixels."""
        self._call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    def show_as(self, media: str = "screen", scheme: str = "light") -> None:
        """On a ``screen`` or in ``print``, to a reader who asked for ``light`` or ``dark``."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self._call("Emulation.setEmulatedMedia", media=media, features=features)

    def picture(self, path: Path, whole: bool = False) -> None:
        """A PNG of the window, or of the whole page."""
        found = self._call(
            "Page.captureScreenshot", format="png", captureBeyondViewport=whole, **self._clip(whole)
        )
        path.write_bytes(base64.b64decode(found["data"]))

    def pdf(self) -> bytes:
        """The page as it would be printed on A4, or as it asks itself."""
        self.show_as("print")
        size = {"paperWidth": 8.27, "paperHeight": 11.69, "preferCSSPageSize": True}
        return base64.b64decode(self._call("Page.printToPDF", printBackground=True, **size)["data"])

    def _clip(self, whole: bool) -> dict[str, Any]:
        if not whole:
            return {}
        size = self._call("Page.getLayoutMetrics")["cssContentSize"]
        return {"clip": {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}}

    def _call(self, method: str, **params: Any) -> dict[str, Any]:
        self._count += 1
        message = {"id": self._count, "method": method, "params": params}
        session = {"sessionId": self._session} if self._session else {}
        os.write(self._send, json.dumps(message | session).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._count:
                assert "error" not in answer, (method, answer["error"])
                return answer["result"]
            self._note(answer)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            more = os.read(self._receive, 1 << 20)
            assert more, "the browser has gone"
            self._buffer += more
        message, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(message)

    def _note(self, event: dict[str, Any]) -> None:
        params = event.get("params", {})
        match event.get("method"):
            case "Page.loadEventFired":
                self._loaded = True
            case "Runtime.exceptionThrown":
                self.complaints.append(str(params["exceptionDetails"]))
            case "Runtime.consoleAPICalled" if params["type"] in LEVELS:
                self.complaints.append(str(params["args"]))
            case "Log.entryAdded" if params["entry"]["level"] in LEVELS:
                self.complaints.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")
            case "Network.loadingFailed":
                self.complaints.append(f"not loaded: {params['errorText']}")


def find() -> str:
    """Where Chromium is; skips the test where there is none."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip(f"no browser here: none of {', '.join(NAMES)} on PATH (Debian: apt-get install chromium)")
    return found


@contextmanager
def started(folder: Path) -> Iterator[Browser]:
    """A browser whose profile lies in ``folder``; it ends with the block."""
    to_browser, send = os.pipe()
    receive, from_browser = os.pipe()

    def pipes() -> None:
        # The browser reads commands from descriptor 3 and answers on 4; out of the way first, as either may be one.
        commands, answers = os.dup(to_browser), os.dup(from_browser)
        high = [os.dup2(commands, 60), os.dup2(answers, 61)]
        os.dup2(high[0], 3)
        os.dup2(high[1], 4)

    command = [find(), *FLAGS, *OFFLINE, f"--user-data-dir={folder}", "--remote-debugging-pipe"]
    with (folder / "browser.log").open("w") as log:
        process = subprocess.Popen(
            command, preexec_fn=pipes, close_fds=False, stdout=log, stderr=log, stdin=subprocess.DEVNULL
        )
    os.close(to_browser)
    os.close(from_browser)
    try:
        yield Browser(send, receive)
    finally:
        os.close(send)
        process.terminate()
        process.wait(timeout=30)
        os.close(receive)
