"""A run and a CT of a lopsided phantom, and a viewer that serves on a port of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from lopsided_phantom import BEAM, lopsided

from taskct.evaluation import evaluate
from taskct.physics.dose import Dose
from taskct.physics.projector import Projector
from taskct.recon import fbp
from taskct.viewer.ct_study import CtStudy, Simulation
from taskct.viewer.picture_layers import Layers


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of an evaluation of two methods at two doses."""
    case = lopsided()
    out = tmp_path_factory.mktemp("view") / "run"
    methods = {"fbp": fbp, "dim": lambda p, A: 0.9 * fbp(p, A)}
    doses = [Dose(1e5), Dose(1e5, fraction=0.1)]
    evaluate(methods, [case], Projector(case.slice_grid, BEAM), doses, slices=[1, 2], out=str(out), progress=False)
    return out


@pytest.fixture(scope="session")
def ct_layers() -> Layers:
    """The CT, with FBP of its scan at three doses."""
    doses = tuple(Dose(1e5, fraction=f) for f in (0.1, 1.0, 0.01))
    return Layers(CtStudy(lopsided(), Simulation(methods={"fbp": fbp}, doses=doses, beam=BEAM)))


@pytest.fixture(scope="session")
def served() -> Iterator[Callable[..., str]]:
    """`served(layers, ...)` -> the address of a viewer that ends with the tests."""
    pytest.importorskip("fastapi", reason="the viewer's packages are not installed: pip install 'taskct[viewer]'")
    pytest.importorskip("uvicorn", reason="the viewer's packages are not installed: pip install 'taskct[viewer]'")
    from taskct.viewer.view_server import serve_view

    running: list[tuple[Any, threading.Thread]] = []

    def serve(*layers: Layers) -> str:
        said: list[str] = []
        ready = threading.Event()

        def started(server: Any) -> None:
            running.append((server, thread))
            ready.set()

        thread = threading.Thread(
            target=serve_view, args=(layers,), kwargs={"say": said.append, "started": started}, daemon=True
        )
        thread.start()
        assert ready.wait(60)
        return said[0].split()[0]

    yield serve
    for server, thread in running:
        server.should_exit = True
        thread.join(10)


@pytest.fixture(scope="session")
def served_ct(served: Callable[..., str], ct_layers: Layers) -> str:
    """The address of a viewer of the CT."""
    return served(ct_layers)
