"""Wrong usage of `tvsl serve`, said before anything is loaded."""

from __future__ import annotations

from importlib import util
from pathlib import Path

import pytest

from tests.cli.running import run
from tvsl.serve.config import ServeConfig

TOKEN = "a-token-of-some-length"


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_others_need_a_token(host: str) -> None:
    ran = run("serve", "--host", host, "--port", "0")
    assert ran.code == 2
    assert "token" in ran.err
    assert "127.0.0.1" in ran.err


@pytest.mark.parametrize("content", ["", "short", f"{TOKEN} {TOKEN}"])
def test_a_bad_token_is_not_shown(content: str, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{content}\n")
    ran = run("serve", "--token-file", tmp_path / "token")
    assert ran.code == 2
    assert TOKEN not in ran.err


def test_the_environment_s_token_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TVSL_SERVE_TOKEN", "short")
    assert "5 characters" in run("serve").err


@pytest.mark.parametrize(
    "options", [("--port", "70000"), ("--max-upload", "0"), ("--keep", "nan"), ("--device", "x")]
)
def test_limits_have_limits(options: tuple[str, ...]) -> None:
    assert run("serve", *options).code == 2


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tvsl.cli.serve.find_spec", lambda name: None)
    assert util.find_spec("tvsl") is not None
    ran = run("serve")
    assert ran.code == 2
    assert "pip install 'tvsl[serve]'" in ran.err


def test_the_defaults_of_the_command_are_those_of_the_service(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = []
    monkeypatch.setattr("tvsl.serve.serve", lambda config, ready: given.append(config))
    monkeypatch.delenv("TVSL_SERVE_TOKEN", raising=False)
    assert run("serve").code == 0
    model = {"head": None, "method": None, "flip_average": None}
    model |= {"device": "auto", "precision": "float32", **ServeConfig().model}
    assert given == [ServeConfig(model=model)]
