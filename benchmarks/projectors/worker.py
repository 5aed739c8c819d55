"""The loop of one environment: answers `{"run": name}` with seconds, `{"save": name, "to": path}` with a result on disk.

One JSON object per line on stdin and stdout. The first line out names what this environment offers and its versions.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np


def serve(offers: dict[str, Callable[[], Any]], versions: dict[str, str]) -> None:
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # libraries print on stdout
    say = lambda answer: print(json.dumps(answer), file=out, flush=True)
    say({"offers": sorted(offers), "versions": versions})
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            if "save" in asked:
                np.save(asked["to"], np.array(offers[asked["save"]](), subok=False))
                say({"saved": asked["to"]})
                continue
            cpu, wall = time.process_time(), time.perf_counter()
            offers[asked["run"]]()
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
            say({"cpu_s": cpu, "wall_s": wall, "peak_mib": peak})
        except Exception as error:  # one peer's failure must not end the comparison
            say({"error": f"{type(error).__name__}: {error}"})
