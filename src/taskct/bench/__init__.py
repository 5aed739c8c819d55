"""How fast the projectors are: beside their peers, beside the limit of the machine, and how right.

`run_bench` measures, `write_bench` writes; `taskct bench` does both. Each side works in a process of its own (`ours`,
`peers`), which `compare` asks in turn, so that a busy machine disturbs both alike.
"""

from taskct.bench.bench_files import read_bench, write_bench
from taskct.bench.bench_geometries import BenchPlan, full_plan, quick_plan
from taskct.bench.compare import run_bench

__all__ = ["BenchPlan", "full_plan", "quick_plan", "read_bench", "run_bench", "write_bench"]
