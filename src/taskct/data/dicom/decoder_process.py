"""Pixels decoded in a process of its own: a decoder in C++ that crashes or eats memory takes that process down, not this one.

The process is started for the first file and serves those that follow; it is a Python that runs this module. A request is one
line of JSON (file, plugin); the answer is one line of JSON (shape and type, or what went wrong), and then the bytes.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from taskct.core.errors import FileFormatError, ResourceError
from taskct.core.open_files import open_binary

_TIMEOUT_S = 60.0  # for one file; a large slice takes well below a second


class _Decoder:
    """The process, started on first use, again after it died, and anew in a forked child."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.process: subprocess.Popen[bytes] | None = None
        self.owner = 0

    def ask(self, path: Path, plugin: str) -> np.ndarray:
        with self.lock:
            process = self._running()
            assert process.stdin is not None and process.stdout is not None
            watch = threading.Timer(_TIMEOUT_S, process.kill)
            watch.start()
            try:
                process.stdin.write(json.dumps({"path": str(path.absolute()), "plugin": plugin}).encode() + b"\n")
                process.stdin.flush()
                answer = json.loads(process.stdout.readline())
                if "error" in answer:
                    raise FileFormatError(f"{path}: pixels cannot be decoded ({answer['error']}); the file is damaged")
                dtype, shape = np.dtype(answer["dtype"]), tuple(answer["shape"])
                data = process.stdout.read(int(np.prod(shape)) * dtype.itemsize)
                return np.frombuffer(data, dtype).reshape(shape)
            except (OSError, ValueError) as error:  # it died, and left no answer or half of one
                self._stop()
                raise FileFormatError(
                    f"{path}: the decoder ({plugin}) crashed or took more than {_TIMEOUT_S:.0f} s; "
                    "the file is damaged or hostile"
                ) from error
            finally:
                watch.cancel()

    def _running(self) -> subprocess.Popen[bytes]:
        if self.owner != os.getpid():
            self.process, self.owner = None, os.getpid()  # a forked child must not share its parent's pipes
        if self.process is None or self.process.poll() is not None:
            try:
                # its standard input ends with this process, and so does it
                self.process = subprocess.Popen(
                    [sys.executable, "-m", "taskct.data.dicom.decoder_process"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
                )
            except OSError as error:
                raise ResourceError(f"a process for the decoder cannot be started ({error.strerror})") from error
        return self.process

    def _stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


_decoder = _Decoder()


def decode_apart(path: Path, plugin: str) -> np.ndarray:
    """The stored numbers of a file, decoded by pydicom's `plugin` in the other process.

    Raises FileFormatError when the decoder refuses the file, crashes or hangs.
    """
    return _decoder.ask(path, plugin)


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer requests until there are no more."""
    import warnings

    from pydicom import dcmread
    from pydicom.pixels import get_decoder

    for line in requests:
        wanted: dict[str, Any] = json.loads(line)
        array = np.empty(0)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                with open_binary(wanted["path"]) as stream:
                    dataset = dcmread(stream, force=True)
                decoder = get_decoder(dataset.file_meta.TransferSyntaxUID)
                options: dict[str, Any] = {"raw": True, "decoding_plugin": wanted["plugin"], "correct_unused_bits": False}
                array, _ = decoder.as_array(dataset, **options)
            head: dict[str, Any] = {"shape": array.shape, "dtype": array.dtype.str}
        except Exception as error:  # decoders raise almost anything on damaged data
            head = {"error": f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"}
        answers.write(json.dumps(head).encode() + b"\n")
        if "error" not in head:
            answers.write(np.ascontiguousarray(array).tobytes())
        answers.flush()


if __name__ == "__main__":
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not be taken for an answer
    with contextlib.suppress(BrokenPipeError, KeyboardInterrupt):
        serve(sys.stdin.buffer, answers)
