"""Serve studies to a browser of this machine until Ctrl-C."""

from __future__ import annotations

import errno
import os
import socket
import webbrowser
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.util import find_spec
from typing import Any

from taskct.core.errors import InputError
from taskct.viewer.guard import new_token
from taskct.viewer.picture_layers import Layers
from taskct.viewer.view_app import first_image, view_app

LOOPBACK = "127.0.0.1"
_MISSING = "taskct view needs FastAPI and uvicorn; pip install 'taskct[viewer]'"


def require_viewer() -> None:
    """InputError, with what to install, where the packages of the viewer are missing."""
    if find_spec("fastapi") is None or find_spec("uvicorn") is None:
        raise InputError(_MISSING)


def serve_view(
    layers: Sequence[Layers],
    *,
    port: int = 0,
    open_browser: bool = False,
    say: Callable[[str], None] = print,
    started: Callable[[Any], None] | None = None,
) -> None:
    """Serve `layers` on 127.0.0.1 and pass the address to `say`; returns after Ctrl-C, SIGTERM or `server.should_exit`.

    `port` 0 takes a free one. `started` is called with the uvicorn server once it is made. Raises InputError for a port that
    is in use, before the address is printed, and without the packages of the extra `viewer`.
    """
    require_viewer()
    import uvicorn

    if not layers:
        raise InputError("there is nothing to show; give run folders or CT")
    first_image(layers)
    token = new_token()
    with listen(port) as sock:
        config = uvicorn.Config(
            view_app(layers, token), log_level="error", access_log=False, server_header=False, lifespan="off", ws="none"
        )
        server = uvicorn.Server(config)
        address = f"http://{LOOPBACK}:{sock.getsockname()[1]}/{token}/"
        say(f"{address}\nThis address is for browsers of this machine. Ctrl-C ends the viewer.")
        if started is not None:
            started(server)
        if open_browser:
            webbrowser.open(address)
        with suppress(KeyboardInterrupt):  # how a viewer ends
            server.run(sockets=[sock])


def listen(port: int) -> socket.socket:
    """A socket bound to 127.0.0.1; InputError for a port in use or out of reach."""
    if not 0 <= port <= 65535:
        raise InputError(f"--port {port}: expected a number from 1 to 65535, or 0 for any that is free")
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        if os.name == "posix":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port that was left a moment ago may be taken again
        sock.bind((LOOPBACK, port))
        sock.listen(128)
    except OSError as error:
        sock.close()
        if error.errno == errno.EADDRINUSE:
            raise InputError(
                f"--port {port}: another program uses this port of 127.0.0.1; choose another, or leave --port out for a free "
                "one"
            ) from error
        if error.errno == errno.EACCES:
            raise InputError(f"--port {port}: this user may not use it; take one from 1024 on, or leave --port out") from error
        raise
    return sock
