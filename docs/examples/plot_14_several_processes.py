"""
Several processes
=================

Whole cases are shared by processes; the table does not depend on how many there are.
"""

import time
from importlib.util import find_spec

import taskct

# %%
# Three patients at two doses by two methods.
cases = [taskct.phantom_case("abdomen", seed=s, shape=(2, 64, 64), spacing_mm=(5.0, 5.6, 5.6)) for s in range(3)]
A = taskct.Projector(cases[0].slice_grid, taskct.ParallelBeam(views=90, cols=72, pixel_mm=5.6))
doses = [taskct.Dose(1e5), taskct.Dose(1e5, fraction=0.25)]
methods = {"fbp": taskct.fbp, "sirt": taskct.sirt}


def table_of(workers):
    """The table, made by so many processes."""
    return taskct.evaluate(methods, cases, A, doses, refine=1, noise_free=False, workers=workers, progress=False)


# %%
# In this process:
begun = time.perf_counter()
table = table_of(1)
print(f"one process: {time.perf_counter() - begun:.1f} s")
taskct.show(table)

# %%
# In two, where Dask is installed (``pip install taskct[dask]``). Starting them takes seconds, so it pays from some
# minutes of work on. A script that starts processes needs ``if __name__ == "__main__":`` around that line. The scores
# are the same to the last digit.
scores = lambda one: [row for row in one.rows if row.metric != "seconds"]
if __name__ == "__main__" and find_spec("distributed") is not None:
    begun = time.perf_counter()
    both = table_of(2)
    print(f"two processes: {time.perf_counter() - begun:.1f} s; same scores: {scores(both) == scores(table)}")

# %%
# On a queue it is ``workers=taskct.core.workers.Workers(16, "slurm", {"queue": "short"})``, on the command line
# ``taskct evaluate ... --workers 16 --cluster slurm``. One model on several machines is trained by ``torchrun``
# (:doc:`/cluster`).
