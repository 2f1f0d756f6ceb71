"""The door of the service: who may ask, from where, and how much.

Every request passes here before anything of its body is read. Three dangers are met: pages of other
sites that send requests through the user's browser (their origin is refused), names of other sites
that are made to point at this computer (DNS rebinding: the name in ``Host`` is refused), and other
people (the token).
"""

from __future__ import annotations

import secrets
import sys
import time
from collections.abc import Mapping
from hashlib import sha256
from http.cookies import CookieError, SimpleCookie
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tvsl.serve.config import ServeConfig
from tvsl.serve.schemas import Refusal

API: Final = "/api/v1"
JOBS: Final = f"{API}/jobs"
SESSION: Final = f"{API}/session"
ICON: Final = "/favicon.ico"
COOKIE: Final = "tvsl_session"
SESSION_SECONDS: Final = 12 * 3_600
MOST_SESSIONS: Final = 64
SMALL_BODY: Final = 64 * 1024
"""Bytes of a body that is no upload."""

_LOCAL_NAMES = {"localhost", "127.0.0.1", "[::1]"}
_OPEN = {("GET", "/"), ("GET", ICON), ("POST", SESSION)}
"""Requests that need no token."""
_READING = {"GET", "HEAD", "OPTIONS"}
_HEADERS = {
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "content-security-policy": "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
}


class Sessions:
    """Browsers that have shown the token; a cookie names each, and the token is in none."""

    def __init__(self) -> None:
        self._ends: dict[bytes, float] = {}

    def open(self) -> str:
        """Open a session, named for the cookie; the oldest ends where there are too many."""
        name = secrets.token_urlsafe(32)
        now = time.monotonic()
        self._ends = {key: end for key, end in self._ends.items() if end > now}
        while len(self._ends) >= MOST_SESSIONS:
            del self._ends[next(iter(self._ends))]
        self._ends[sha256(name.encode()).digest()] = now + SESSION_SECONDS
        return name

    def __contains__(self, name: str) -> bool:
        # Of the digest that is looked up nobody knows a part: times tell nothing of the name.
        return self._ends.get(sha256(name.encode("utf-8", "replace")).digest(), 0.0) > (
            time.monotonic()
        )


class Guard:
    """An application behind the door.

    Args:
        app: The application.
        config: Address and token.
        sessions: Browsers that have shown the token.
        is_local: Whether only this computer reaches the service.
    """

    def __init__(
        self, app: ASGIApp, config: ServeConfig, sessions: Sessions, is_local: bool = True
    ) -> None:
        self.app = app
        self.config = config
        self.sessions = sessions
        self._names = None
        if is_local:
            own = f"[{config.host}]" if ":" in config.host else config.host
            self._names = {*_LOCAL_NAMES, own.lower()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or let it through."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        began = False

        async def send_guarded(message: Message) -> None:
            nonlocal began
            if message["type"] == "http.response.start":
                began = True
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            self._check(scope)
            if scope["path"] != JOBS:
                receive = _bounded(receive, Headers(scope=scope))
            await self.app(scope, receive, send_guarded)
        except Refusal as refusal:
            if not began:
                await refused(refusal)(scope, receive, send_guarded)
        except Exception as error:  # noqa: BLE001 - told without its text, which may hold contents
            sys.stderr.write(f"tvsl: a request failed: {type(error).__name__}\n")
            if not began:
                await refused(unforeseen())(scope, receive, send_guarded)

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self._is_known(hosts[0]):
            raise Refusal(
                421,
                "wrong_host",
                "The service is not known by this name.",
                "Use http://127.0.0.1 or http://localhost with its port.",
            )
        self._check_origin(scope, headers, hosts[0])
        is_open = (scope["method"], scope["path"]) in _OPEN
        if self.config.token is not None and not is_open and not self._knows(headers):
            raise Refusal(
                401,
                "token_needed",
                "The token is missing or wrong.",
                "Send it as `Authorization: Bearer TOKEN`, or enter it on the page.",
                {"WWW-Authenticate": "Bearer"},
            )

    def _is_known(self, host: str) -> bool:
        """Tell whether a name is the service's own; with others in reach the token decides."""
        if self._names is None:
            return True
        name, _, port = host.rpartition(":") if not host.endswith("]") else (host, "", "")
        if not name:
            name, port = host, ""
        return name.lower() in self._names and (not port or port.isdecimal())

    def _check_origin(self, scope: Scope, headers: Headers, host: str) -> None:
        """Refuse what a page of another site sends; programs send no origin."""
        origins = headers.getlist("origin")
        is_same = all(urlsplit_host(one) == host.lower() for one in origins)
        site = headers.get("sec-fetch-site", "none")
        is_visit = scope["path"] == "/" and headers.get("sec-fetch-mode") == "navigate"
        is_reading = scope["method"] in _READING
        if not is_same or (site not in ("same-origin", "none") and not (is_visit and is_reading)):
            raise Refusal(
                403,
                "other_site",
                "The request comes from a page of another site.",
                "Open the service's own page.",
            )

    def _knows(self, headers: Headers) -> bool:
        kind, _, given = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and self.config.is_token(given.strip()):
            return True
        return cookie_of(headers) in self.sessions


def urlsplit_host(origin: str) -> str | None:
    """Host and port of an origin's header; None for one that has none, such as ``null``."""
    try:
        parts = urlsplit(origin)
    except ValueError:
        return None
    return parts.netloc.lower() if parts.scheme in ("http", "https") else None


def cookie_of(headers: Mapping[str, str]) -> str:
    """The session that a browser names; empty where it names none."""
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return "" if found is None else found.value


def _bounded(receive: Receive, headers: Headers) -> Receive:
    """Refuse a body that is far larger than a request has that uploads nothing."""
    left = SMALL_BODY
    stated = headers.get("content-length", "0")
    if not stated.isdecimal() or int(stated) > SMALL_BODY:
        raise too_large("The body", SMALL_BODY)

    async def receive_bounded() -> Message:
        nonlocal left
        message = await receive()
        left -= len(message.get("body", b""))
        if left < 0:
            raise too_large("The body", SMALL_BODY)
        return message

    return receive_bounded


def too_large(what: str, most: int) -> Refusal:
    """The answer to too large a body.

    Args:
        what: What is too large, as the beginning of a sentence.
        most: Bytes that are taken.
    """
    return Refusal(
        413,
        "too_large",
        f"{what} has more than {most} bytes.",
        "Make it smaller, or cut a piece out of it.",
        {"Connection": "close"},
    )


def unforeseen() -> Refusal:
    """The answer to an error that nobody foresaw."""
    return Refusal(
        500,
        "unforeseen",
        "An error that tvsl did not foresee.",
        "Please report it, with what you did.",
    )


def refused(refusal: Refusal) -> JSONResponse:
    """The answer of a refusal."""
    return JSONResponse(
        refusal.content.model_dump(), status_code=refusal.status, headers=refusal.headers
    )
