"""Access control of the viewer: read-only, for browsers of this machine that know the printed address.

Every path begins with a secret token, http://127.0.0.1:PORT/TOKEN/, so requests for scripts, images and data carry it without
a cookie. A page of another site can make a browser send requests to 127.0.0.1. They are refused because the page does not
know the token; after DNS rebinding they are also refused because they name the host of that page.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

HOSTS = ("127.0.0.1", "localhost")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self' data: blob:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
"""Sent with every answer: browsers store nothing, load nothing from elsewhere, and no other site may frame the page."""


def new_token() -> str:
    """A new secret part of an address, of 24 random bytes."""
    return secrets.token_urlsafe(24)


class Guard:
    """An ASGI app in front of another: it removes the token from a request's path and passes it on, or refuses in one line."""

    def __init__(self, app: App, token: str) -> None:
        self._app, self._token = app, token

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Check one request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return  # a websocket is closed by not being accepted
        refused = self._refusal(scope)
        if refused is not None:
            await _answer(send, *refused)
            return
        inside = scope["path"][len(self._token) + 1 :]

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                ours = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
                message["headers"] = [
                    (n, v) for n, v in message.get("headers", ()) if n.decode().lower() not in HEADERS
                ] + ours
            await send(message)

        await self._app({**scope, "path": inside, "raw_path": inside.encode()}, receive, guarded)

    def _refusal(self, scope: Message) -> tuple[int, str] | None:
        """Status and reason, or None for a request that may pass."""
        headers: dict[str, list[str]] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
        if [host_of(value) for value in headers.get("host", ())] not in [[name] for name in HOSTS]:
            return 403, "this viewer answers to 127.0.0.1 and localhost only"
        if any(_host_of_origin(origin) not in HOSTS for origin in headers.get("origin", ())):
            return 403, "this viewer answers to its own page only"
        if scope["method"] not in ("GET", "HEAD"):
            return 405, "this viewer only shows: nothing can be sent to it"
        first, slash, _ = scope["path"].removeprefix("/").partition("/")
        if not slash or not secrets.compare_digest(first.encode(), self._token.encode()):
            return 403, "the address lacks the token that taskct view printed, or has an old one; copy the whole address"
        return None


def host_of(netloc: str) -> str:
    """The host name in host:port; '' if `netloc` does not have this form.

    >>> host_of("127.0.0.1:8000"), host_of("evil.example"), host_of("127.0.0.1:80@evil.example")
    ('127.0.0.1', 'evil.example', '')
    """
    name, colon, port = netloc.partition(":")
    return name.lower() if not colon or (port.isascii() and port.isdigit()) else ""


def _host_of_origin(origin: str) -> str:
    """The host name in scheme://host:port; '' if `origin` cannot be parsed as an address."""
    try:
        return host_of(urlsplit(origin).netloc)
    except ValueError:  # brackets of an IPv6 address that are not closed
        return ""


async def _answer(send: Send, status: int, reason: str) -> None:
    body = (reason + "\n").encode()
    headers = [("content-type", "text/plain; charset=utf-8"), ("content-length", str(len(body))), *HEADERS.items()]
    if status == 405:
        headers.append(("allow", "GET, HEAD"))
    await send({"type": "http.response.start", "status": status, "headers": [(n.encode(), v.encode()) for n, v in headers]})
    await send({"type": "http.response.body", "body": body})
