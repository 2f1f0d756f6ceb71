"""A headless Chromium, driven over a pipe with its own protocol; no package is needed for that."""

from __future__ import annotations

import base64
import itertools
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
PATIENCE = 60.0
"""Seconds for one answer: a machine may be busy."""
_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-background-networking",
    "--no-first-run",
    "--mute-audio",
    "--autoplay-policy=no-user-gesture-required",
    "--remote-debugging-pipe",
)
KEYS = {"Tab": ("Tab", 9, ""), "Space": (" ", 32, " "), "Enter": ("Enter", 13, "\r")}
"""Of each key that is pressed here its value, code and text."""


class Browser:
    """A running browser; its messages end with a zero byte."""

    def __init__(self, read: int, write: int) -> None:
        self._read, self._write = read, write
        self._numbers = itertools.count(1)
        self._rest = b""
        self.events: list[dict[str, Any]] = []

    def call(self, method: str, session: str | None = None, **given: Any) -> dict[str, Any]:
        """Send a command and wait for its answer; events on the way are kept."""
        number = next(self._numbers)
        message: dict[str, Any] = {"id": number, "method": method, "params": given}
        if session is not None:
            message["sessionId"] = session
        left = json.dumps(message).encode() + b"\0"
        while left:
            left = left[os.write(self._write, left) :]
        while True:
            answer = self._message()
            if answer.get("id") == number:
                assert "error" not in answer, (method, answer["error"])
                return cast(dict[str, Any], answer["result"])
            self.events.append(answer)

    def _message(self) -> dict[str, Any]:
        parts = [self._rest]
        while b"\0" not in parts[-1]:
            ready, _, _ = select.select([self._read], [], [], PATIENCE)
            assert ready, f"the browser said nothing for {PATIENCE} s"
            parts.append(os.read(self._read, 1 << 20))
            assert parts[-1], "the browser ended"
        line, self._rest = b"".join(parts).split(b"\0", 1)
        return cast(dict[str, Any], json.loads(line))

    @contextmanager
    def tab(
        self,
        page: Path | str,
        *,
        width: int = 1200,
        height: int = 900,
        dark: bool = False,
        script: bool = True,
    ) -> Iterator[Tab]:
        """Open a page, and close it; an error that it reports, to the console too, is one here.

        Args:
            page: Its file, or its address.
            width: Width of the window in CSS pixels.
            height: Height of the window.
            dark: Whether the user prefers dark pages.
            script: Whether scripts run.
        """
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        tab = Tab(self, session)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        tab.call("Emulation.setEmulatedMedia", features=[scheme])
        tab.call(
            "Emulation.setDeviceMetricsOverride",
            **{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False},
        )
        tab.call("Emulation.setScriptExecutionDisabled", value=not script)
        for domain in ("Runtime", "Log"):
            tab.call(f"{domain}.enable")
        tab.call("Page.navigate", url=page.resolve().as_uri() if isinstance(page, Path) else page)
        tab.wait("document.readyState === 'complete' && location.protocol !== 'about:'")
        yield tab
        complaints = tab.complaints()
        assert not complaints, complaints
        self.call("Target.closeTarget", targetId=target)


class Tab:
    """An open page."""

    def __init__(self, browser: Browser, session: str) -> None:
        self._browser, self._session = browser, session

    def call(self, method: str, **given: Any) -> dict[str, Any]:
        return self._browser.call(method, self._session, **given)

    def value(self, expression: str) -> Any:
        """Value of an expression, which may be a promise."""
        found = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in found, (expression, found["exceptionDetails"])
        return found["result"].get("value")

    def wait(self, expression: str) -> None:
        """Wait until an expression is true."""
        end = time.monotonic() + PATIENCE
        while not self.value(expression):
            assert time.monotonic() < end, f"not so after {PATIENCE} s: {expression}"
            time.sleep(0.02)

    def complaints(self) -> list[dict[str, Any]]:
        """Reports of the browser: errors of scripts, and what the policy refused."""
        return [
            event["params"]
            for event in self._browser.events
            if event.get("sessionId") == self._session
            and (
                event["method"] == "Runtime.exceptionThrown"
                or (
                    event["method"] == "Log.entryAdded"
                    and event["params"]["entry"]["level"] == "error"
                )
            )
        ]

    def forget(self) -> None:
        """Forget reports so far: of answers that are refusals, and are meant to be."""
        self._browser.events.clear()

    def click(self, x: float, y: float) -> None:
        """Click at a place of the window."""
        place = {"x": x, "y": y, "button": "left", "clickCount": 1}
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, **place)

    def click_on(self, selector: str) -> None:
        """Scroll to an element and click on its middle."""
        x, y = self.value(
            f"(() => {{ const part = document.querySelector({json.dumps(selector)});"
            " part.scrollIntoView({ block: 'center' }); const at = part.getBoundingClientRect();"
            " return [at.x + at.width / 2, at.y + at.height / 2]; })()"
        )
        self.click(x, y)

    def choose(self, selector: str, *files: Path) -> None:
        """Choose files in a field, as its dialogue does."""
        found = self.call(
            "Runtime.evaluate", expression=f"document.querySelector({json.dumps(selector)})"
        )
        names = [str(file) for file in files]
        self.call("DOM.setFileInputFiles", files=names, objectId=found["result"]["objectId"])

    def type(self, text: str) -> None:
        """Type a text where the focus is."""
        self.call("Input.insertText", text=text)

    def press(self, name: str) -> None:
        """Press a key of ``KEYS`` and let it go."""
        value, code, text = KEYS[name]
        key = {"key": value, "code": name, "windowsVirtualKeyCode": code}
        self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **key)
        self.call("Input.dispatchKeyEvent", type="keyUp", **key)

    def reach(self, selector: str, most: int = 60) -> None:
        """Press Tab until an element has the focus."""
        for _ in range(most):
            self.press("Tab")
            if self.value(f"document.activeElement.matches({json.dumps(selector)})"):
                return
        pytest.fail(f"{selector} is not reached by {most} times Tab")

    def picture(self, whole: bool = False) -> bytes:
        """The page as a PNG: what the window shows, or all of it."""
        found = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        return base64.b64decode(found["data"])


@contextmanager
def running_browser() -> Iterator[Browser]:
    """Start a browser, and end it.

    Skips the test where none is installed.
    """
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip(f"no browser ({', '.join(NAMES)}) is installed: the page is not opened")
    in_read, in_write = os.pipe()
    out_read, out_write = os.pipe()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        # The browser reads its descriptor 3 and writes to 4.
        command = f'exec "$@" 3<&{in_read} 4>&{out_write}'
        process = subprocess.Popen(
            ["bash", "-c", command, "-", program, *_FLAGS, f"--user-data-dir={folder}"],
            pass_fds=(in_read, out_write),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(in_read)
        os.close(out_write)
        try:
            browser = Browser(out_read, in_write)
            yield browser
            browser.call("Browser.close")
            process.wait(PATIENCE)
        finally:
            process.kill()
            process.wait()
            os.close(out_read)
            os.close(in_write)
