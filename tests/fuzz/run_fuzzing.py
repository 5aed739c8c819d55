"""Fuzz every reader for a time: python tests/fuzz/run_fuzzing.py [--seconds 60] [--seed N] [--keep FOLDER] [TARGET ...]"""

from __future__ import annotations

import argparse
import random
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from fuzz_targets import TARGETS
from fuzzing import fuzz


def main() -> int:
    """Exit code 1 when an input was neither read nor refused as it should be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"one of {', '.join(TARGETS)}; all of them otherwise")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--keep", type=Path, default=Path("runs/fuzz"), help="where failing files go")
    words = parser.parse_args()
    seed = random.randrange(2**31) if words.seed is None else words.seed
    bad = 0
    for name in words.targets or TARGETS:
        outcome = fuzz(name, seed=seed, seconds=words.seconds, keep=words.keep)
        print(f"{name:<16} seed {seed}: {outcome.inputs} inputs, {outcome.refused} refused, {len(outcome.failures)} failures")
        for number, what in outcome.failures:
            print(f"    input {number}: {what}")
        sys.stdout.flush()
        bad += len(outcome.failures)
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
