"""Who may ask the viewer: requests to a server that runs, by a client that says whatever it wants."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest

from taskct.viewer.guard import host_of, new_token
from taskct.viewer.picture_layers import Layers


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


Ask = Callable[..., Answer]


@pytest.fixture
def ask(served_ct: str) -> Ask:
    place = urlsplit(served_ct)

    def asked(path: str, method: str = "GET", host: str | None = None, **headers: str) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", place.port, timeout=60)
        connection.putrequest(method, path, skip_host=host is not None, skip_accept_encoding=True)
        if host:
            connection.putheader("Host", host)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        found = Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        connection.close()
        return found

    return asked


@pytest.fixture
def token(served_ct: str) -> str:
    return urlsplit(served_ct).path.strip("/")


def test_the_page_and_its_parts_come_with_the_token_and_are_kept_nowhere(ask: Ask, token: str):
    for name, kind in (
        ("", "text/html"),
        ("main.js", "text/javascript"),
        ("viewer.css", "text/css"),
        ("studies", "application/json"),
    ):
        found = ask(f"/{token}/{name}")
        assert found.status == 200 and found.headers["content-type"].startswith(kind)
        assert found.headers["cache-control"] == "no-store" and found.headers["referrer-policy"] == "no-referrer"
        assert found.headers["x-content-type-options"] == "nosniff"
        policy = found.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy
        assert "server" not in found.headers and "access-control-allow-origin" not in found.headers


@pytest.mark.parametrize(
    "path", ["/", "/studies", "/wrong/studies", "/{token}x/", "/{short}/", "/{token}", "//{token}/", "/main.js"]
)
def test_without_the_token_nothing_is_told(ask: Ask, token: str, path: str):
    found = ask(path.format(token=token, short=token[:-1]))
    assert found.status == 403 and b"token" in found.body and token.encode() not in found.body


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:80",
        "127.0.0.1.evil.example",
        "0.0.0.0",
        "[::1]",
        "",
        "localhost@evil.example",
        "127.0.0.1:80@x",
    ],
)
def test_another_host_is_refused_though_the_token_is_right(ask: Ask, token: str, host: str):
    assert ask(f"/{token}/studies", host=host).status in (400, 403)


def test_this_machine_may_be_named_in_either_way_and_through_a_forwarded_port(ask: Ask, token: str):
    for host in ("127.0.0.1", "localhost:9999", "LOCALHOST"):
        assert ask(f"/{token}/studies", host=host).status == 200


def test_a_request_of_another_sites_page_is_refused(ask: Ask, token: str):
    assert ask(f"/{token}/studies", Origin="http://evil.example").status == 403
    assert ask(f"/{token}/studies", Origin="null").status == 403
    assert ask(f"/{token}/studies", Origin="http://127.0.0.1:1234").status == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT"])
def test_nothing_can_be_sent_or_changed(ask: Ask, token: str, method: str):
    found = ask(f"/{token}/studies", method)
    assert found.status == 405 and found.headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize(
    "path",
    ["../view_app.py", "..%2fview_app.py", "%2e%2e/view_app.py", "../../../../../../etc/passwd", "/etc/passwd",
     "..\\view_app.py", "niivue-licence.txt/..", "page/main.js", "main.js%00", "openapi.json", "docs", "redoc",
     "labels/0/../../x"],
)  # fmt: skip
def test_no_path_leads_to_another_file(ask: Ask, token: str, path: str):
    found = ask(f"/{token}/{path}")
    assert found.status in (403, 404, 422) and b"root:" not in found.body and b"import" not in found.body


@pytest.mark.parametrize(
    "path",
    ["plane/0/hu/0/0/99", "plane/9/hu/0/0/0", "plane/0/hu/-1/0/0", "plane/0/hu/x/0/0", "plane/0/secret/0/0/0", "volume/7.nii"],
)
def test_what_is_not_there_is_refused_in_one_line(ask: Ask, token: str, path: str):
    found = ask(f"/{token}/{path}")
    assert found.status == 422 and b"Traceback" not in found.body


def test_only_the_loopback_address_listens(served_ct: str):
    port = urlsplit(served_ct).port
    outside = [a for a in socket.gethostbyname_ex(socket.gethostname())[2] if not a.startswith("127.")]
    for address in [*outside, "127.0.0.2"]:
        with socket.socket() as one:
            one.settimeout(2)
            assert one.connect_ex((address, port)) != 0, f"{address} answers"


def test_a_websocket_is_not_opened(ask: Ask, token: str):
    headers = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Key": "eA==", "Sec-WebSocket-Version": "13"}
    assert ask(f"/{token}/ws", **headers).status != 101


def test_tokens_are_long_and_all_different():
    tokens = {new_token() for _ in range(50)}
    assert len(tokens) == 50 and min(map(len, tokens)) >= 32


def test_hosts_that_only_look_like_one_are_none():
    assert [host_of(h) for h in ("127.0.0.1:x", "[::1]:80", "a:1:2")] == ["", "", ""]


def test_a_plane_is_sent_alone_with_its_values(ask: Ask, token: str, ct_layers: Layers):
    found = ask(f"/{token}/plane/0/hu/0/0/3")
    assert (found.headers["x-type"], found.headers["x-rows"], found.headers["x-columns"]) == ("i2", "32", "48")
    assert found.body == ct_layers.plane("hu", 0, 0, 3)[2]


def test_an_origin_that_is_no_address_is_refused_and_a_closing_slash_leads_nowhere(ask: Ask, token: str):
    assert ask(f"/{token}/studies", Origin="http://[").status == 403
    found = ask(f"/{token}/studies/")
    assert found.status == 404 and "location" not in found.headers
