"""
Several processes
=================

Slices, cases and steps of experiments are shared by processes; the results do not depend on how many there are.
"""

import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import torch

import taskct

# %%
# Eight scans, and a reconstruction that takes a while.
case = taskct.phantom_case("abdomen", shape=(8, 128, 128), spacing_mm=(5.0, 2.8, 2.8))
A = taskct.Projector(case.slice_grid, taskct.ParallelBeam(views=120, cols=140, pixel_mm=2.8))
p = taskct.simulate_scan(case.mu, A, taskct.Dose(photons=1e5), seed=0)
reconstruct = partial(taskct.sirt, iterations=25, progress=False)

begun = time.perf_counter()
alone = torch.cat([reconstruct(one, A) for one in p.split(1)])
print(f"one process: {time.perf_counter() - begun:.2f} s")

# %%
# A projector may be handed to other processes, used or not: here to two, a scan at a time. They are forked, so that
# they start at once; where that does not exist, put this into a script under ``if __name__ == "__main__":`` and leave
# ``mp_context`` out.
if "fork" in multiprocessing.get_all_start_methods():
    begun = time.perf_counter()
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("fork")) as pool:
        shared = torch.cat(list(pool.map(reconstruct, p.split(1), [A] * len(p))))
    print(f"two processes: {time.perf_counter() - begun:.2f} s; largest difference {float((shared - alone).abs().max()):.1g}")
taskct.show(alone[:4], window="soft tissue")

# %%
# What taskct shares by itself, with Dask (``pip install taskct[dask]``), is larger: cases and steps. The same call runs
# in one process, in several, or as jobs of a queue::
#
#     taskct.evaluate(methods, cases, A, doses, workers=4)
#     taskct.evaluate(methods, cases, A, doses, workers=taskct.core.workers.Workers(16, "slurm", {"queue": "short"}))
#
# On the command line: ``taskct evaluate ... --workers 4``, ``taskct reproduce dose --workers 16 --cluster slurm``. One
# model on several machines is trained by ``torchrun``. All of it: :doc:`/cluster`.
