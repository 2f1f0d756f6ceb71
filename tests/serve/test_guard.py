"""The door: names, origins and the token."""

from __future__ import annotations

import hmac
import socket
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from fastapi.testclient import TestClient
from starlette.requests import Request

from tests.serve.service import FAKE, JOBS, Service, running_service
from tvsl.errors import OutputError, UsageError
from tvsl.serve import config as config_module
from tvsl.serve.app import create_app
from tvsl.serve.config import ServeConfig, check_reach
from tvsl.serve.guard import COOKIE, MOST_SESSIONS, Sessions
from tvsl.serve.jobs import Jobs
from tvsl.serve.server import listening_socket

TOKEN = "a-token-of-some-length-1234"
SERVICE = "/api/v1/service"


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Service]:
    """A service that others reach, with a token."""
    config = ServeConfig(host="0.0.0.0", token=TOKEN)
    with running_service(config, tmp_path / "guarded", FAKE, is_local=False) as found:
        yield found


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8321", 200),
        ("localhost:9", 200),
        ("LOCALHOST", 200),
        ("[::1]:8321", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost.evil.example:8321", 421),
        ("localhost:8321@evil.example", 421),
        ("evil.example:127.0.0.1", 421),
        ("localhost.", 421),
        ("192.168.0.7:8321", 421),
        ("", 421),
    ],
)
def test_only_this_computer_s_names_are_known(client: TestClient, host: str, status: int) -> None:
    assert client.get(SERVICE, headers={"Host": host}).status_code == status
    assert client.get("/", headers={"Host": host}).status_code == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 202),
        ({"Origin": "http://127.0.0.1:8321", "Sec-Fetch-Site": "same-origin"}, 202),
        ({"Origin": "http://127.0.0.1:9999"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://[", "Sec-Fetch-Site": "same-origin"}, 403),
        ({"Origin": "chrome-extension://127.0.0.1:8321"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
    ],
)
def test_pages_of_other_sites_start_nothing(
    service: Service, client: TestClient, headers: dict[str, str], status: int
) -> None:
    answer = client.post(JOBS, files={"video": ("a.mp4", b"video")}, headers=headers)
    assert answer.status_code == status
    if status == 403:
        assert service.left() == []


def test_pages_of_other_sites_read_nothing_but_may_link_here(client: TestClient) -> None:
    other = {"Sec-Fetch-Site": "cross-site"}
    visit = {**other, "Sec-Fetch-Mode": "navigate"}
    assert client.get(SERVICE, headers=other).status_code == 403
    assert client.get(SERVICE, headers=visit).status_code == 403
    assert client.get("/", headers=other).status_code == 403
    assert client.get("/", headers=visit).status_code == 200
    answer = client.options(JOBS, headers={"Origin": "http://evil.example"})
    assert answer.status_code == 403
    assert "access-control-allow-origin" not in answer.headers


def test_without_the_token_only_the_page_is_given(guarded: Service) -> None:
    client = guarded.client
    assert client.get("/").status_code == 200
    assert client.get("/favicon.ico").status_code == 204  # a browser would tell of a 404
    for given in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {TOKEN}"}):
        for method, path in (("GET", SERVICE), ("POST", JOBS), ("GET", "/openapi.json")):
            answer = client.request(method, path, headers=given)
            assert (answer.status_code, answer.json()["code"]) == (401, "token_needed")
            assert answer.headers["www-authenticate"] == "Bearer"
    given = {"Authorization": f"Bearer {TOKEN}"}
    assert client.get(SERVICE, headers=given).status_code == 200
    found = client.get("/openapi.json", headers=given).json()
    assert "HTTPBearer" in found["components"]["securitySchemes"]


def test_a_browser_is_known_by_a_cookie_without_the_token(guarded: Service) -> None:
    client = guarded.client
    wrong = client.post("/api/v1/session", json={"token": f"{TOKEN}x"})
    assert wrong.status_code == 401
    assert "set-cookie" not in wrong.headers
    answer = client.post("/api/v1/session", json={"token": TOKEN})
    assert answer.status_code == 204
    cookie = answer.headers["set-cookie"]
    assert TOKEN not in cookie
    assert {"httponly", "samesite=strict"} <= {part.strip().lower() for part in cookie.split(";")}
    guarded.wait(guarded.start(), "done")
    client.cookies.clear()
    for name in ("", "x", "ä"):
        header = f"{COOKIE}={name}".encode()
        answer = client.get(SERVICE, headers=[(b"cookie", header)])
        assert answer.status_code == 401


def test_a_foreign_page_is_refused_with_the_cookie_too(guarded: Service) -> None:
    assert guarded.client.post("/api/v1/session", json={"token": TOKEN}).status_code == 204
    answer = guarded.client.post(JOBS, headers={"Origin": "http://evil.example"})
    assert answer.status_code == 403


def test_the_token_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    lengths = []

    def compare(one: bytes, two: bytes) -> bool:
        lengths.append((len(one), len(two)))
        return hmac.compare_digest(one, two)

    monkeypatch.setattr(config_module, "hmac", SimpleNamespace(compare_digest=compare))
    config = ServeConfig(token=TOKEN)
    assert config.is_token(TOKEN)
    assert not config.is_token("x")
    assert not config.is_token("\ud800")
    assert set(lengths) == {(32, 32)}
    assert TOKEN not in repr(config)
    assert not ServeConfig().is_token("")


@pytest.mark.parametrize("token", ["", "short", "a" * 513, "with a space in it now", "ä" * 20])
def test_a_bad_token_is_refused_and_not_shown(token: str) -> None:
    with pytest.raises(UsageError) as caught:
        ServeConfig(token=token)
    assert not token or token not in str(caught.value)


def test_sessions_are_bounded_and_end(monkeypatch: pytest.MonkeyPatch) -> None:
    sessions = Sessions()
    names = [sessions.open() for _ in range(MOST_SESSIONS + 1)]
    assert names[0] not in sessions
    assert names[-1] in sessions
    monkeypatch.setattr("tvsl.serve.guard.time.monotonic", lambda: 1e12)
    assert names[-1] not in sessions


@pytest.mark.parametrize("address", ["0.0.0.0", "192.168.0.7", "::", "fe80::1%eth0"])
def test_an_address_that_others_reach_needs_a_token(address: str) -> None:
    with pytest.raises(UsageError, match="token"):
        check_reach(address, None)
    assert check_reach(address, TOKEN) is False


@pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9", "::1"])
def test_this_computer_s_own_need_none(address: str) -> None:
    assert check_reach(address, None) is True


def test_an_address_that_is_taken_or_none_is_one_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        for host in ("127.0.0.1", "no such host", "1.2.3.4.5"):
            with pytest.raises(OutputError, match=f"port {port}"):
                listening_socket(ServeConfig(host=host, port=port))


def test_an_unforeseen_error_is_told_without_its_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    async def broken(request: Request, folder: Path, most: int) -> None:
        raise RuntimeError("the name of a private file")

    monkeypatch.setattr("tvsl.serve.app.read_form", broken)
    folder = tmp_path / "service"
    folder.mkdir()
    app = create_app(Jobs(ServeConfig(), folder, FAKE))
    address = "http://127.0.0.1"
    with TestClient(app, base_url=address, raise_server_exceptions=False) as client:
        answer = client.post(JOBS)
    assert (answer.status_code, answer.json()["code"]) == (500, "unforeseen")
    out, err = capfd.readouterr()
    assert "RuntimeError" in err
    assert "private" not in out + err + answer.text
