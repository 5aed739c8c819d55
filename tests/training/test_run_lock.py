import threading
from types import SimpleNamespace

import pytest

from taskct.core.errors import BusyError
from taskct.core.write_locks import one_writer
from taskct.training import run_lock as alone


def test_a_run_is_trained_by_one_process_and_the_second_is_told(tmp_path, monkeypatch):
    seen = []

    @alone.alone_in_its_run
    def fit(source: str, run: SimpleNamespace, *, steps: int = 1) -> str:
        with pytest.raises(BusyError, match="run: is being written"):
            _in_thread(tmp_path / "run")
        seen.append(source)
        return source * steps

    run = SimpleNamespace(folder=tmp_path / "run")
    assert fit("a", run, steps=2) == "aa" and fit(source="b", run=run) == "b"
    monkeypatch.setattr(alone, "rank", lambda: 1)
    assert alone.alone_in_its_run(lambda run: "another rank of the same training")(run)
    assert seen == ["a", "b"]


def _in_thread(path):
    caught = []

    def work():
        try:
            with one_writer(path):
                pass
        except BusyError as error:
            caught.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    raise caught[0]
