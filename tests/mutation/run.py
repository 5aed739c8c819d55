"""Mutation testing: python tests/mutation/run.py [--mutants 300] [--seed 0] [--minutes M] [--near] [--again] [FOLDER ...]

Folders (under the project) are those whose tests may kill; without them, the tests and examples of the mutated layers, and the
tests of the layers above. With --near, only the test file that mirrors the mutated one: quicker, and the score can only be
lower. Recordings and answers lie in --store, and a later call resumes there.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from forked_pytest import load_slow_libraries
from mutants import Mutant
from mutation import KILLED, TIMED_OUT, Project, Test
from mutation_answers import read_rows, run, scores

ROOT = Path(__file__).resolve().parents[2]
LAYERS = ("core", "geometry", "physics", "data", "simulate", "recon", "task", "training", "evaluation")
EXCLUDED = ("physics/cuda/",)  # needs a GPU
OTHERS = ("phantoms", "nets", "testing", "report", "systems", "experiments", "cli")
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "taskct-mutation"


def main() -> int:
    """Exit code 1 when the score is below --at-least."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", metavar="FOLDER")
    parser.add_argument("--mutants", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=1e6, help="stop after this time; the next call resumes")
    parser.add_argument("--budget", type=float, default=60.0, help="seconds of recorded CPU time for one mutant")
    parser.add_argument("--near", action="store_true", help="only the test file that mirrors the mutated one")
    parser.add_argument("--slow", action="store_true", help="also tests that are marked slow")
    parser.add_argument("--again", action="store_true", help="try survivors again, after tests were added")
    parser.add_argument("--no-record", action="store_true", help="take only tests that are recorded already")
    parser.add_argument("--known", action="store_true", help="only mutants that have an answer already")
    parser.add_argument("--record-only", action="store_true", help="record which test runs which lines, and stop")
    parser.add_argument("--at-least", type=float, default=0.0, metavar="PERCENT")
    parser.add_argument("--store", type=Path, default=CACHE, help=f"default {CACHE}")
    parser.add_argument("--csv", type=Path, help="write the scores and the survivors to this file")
    words = parser.parse_args()
    os.environ.setdefault("TASKCT_REAL_DATA", str(ROOT.parent / "shared" / "data"))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the copy is removed
    load_slow_libraries()
    project = Project(ROOT, "taskct", LAYERS, words.store, EXCLUDED, "" if words.slow else "not slow")
    units = [] if words.near else _units(project, words.folders)
    if words.no_record:
        units = [unit for unit in units if project.recorded([unit])]
    _record(project, units)
    if words.record_only:
        return 0
    rows = words.store / "answers.jsonl"
    known = read_rows(rows).keys()
    sample = project.sample(words.mutants, words.seed)
    if words.known:
        sample = [m for m in sample if m.key((project.copy / m.file).read_bytes()) in known]

    def tests(mutant: Mutant) -> list[Test] | None:
        allowed = project.near(mutant) if words.near else units
        if words.no_record and not project.recorded(allowed):
            return None
        _record(project, allowed)
        return project.tests(allowed)

    answers = []
    for mutant, told in run(project, sample, tests, rows, budget=words.budget, seconds=60 * words.minutes, again=words.again):
        answers.append(told)
        if told["key"] not in known or words.again:
            place = f"{mutant.file}:{mutant.line} {mutant.kind}"
            print(f"{told['outcome']:<11} {place}  {told['seconds']:.0f} s  {told['by']}", flush=True)
    return _report(answers, words.csv, len(sample), words.at_least)


def _record(project: Project, units: list[str]) -> None:
    for unit, passed, seconds in project.record(units):
        print(f"recorded    {unit}: {passed} tests, {seconds:.1f} s", flush=True)


def _units(project: Project, folders: list[str]) -> list[str]:
    """Test files, and files of the package with examples."""
    units = []
    for folder in folders or [f"tests/{layer}" for layer in (*LAYERS, *OTHERS)]:
        path = ROOT / folder
        units += [folder] if path.is_file() else [p.relative_to(ROOT).as_posix() for p in sorted(path.rglob("test_*.py"))]
    return units if folders else units + project.examples(project.files())


def _report(answers: list[dict], csv: Path | None, drawn: int, at_least: float) -> int:
    survivors = [a for a in answers if a["outcome"] not in (KILLED, TIMED_OUT)]
    survivors.sort(key=lambda a: (LAYERS.index(a["layer"]), a["file"], a["line"]))
    for a in survivors:
        print(f"\n{a['outcome']}: {a['file']}:{a['line']}, {a['kind']} ({a['covering']} tests, {a['left_out']} left out)")
        print(f"  - {a['before']}\n  + {a['after']}")
    table = scores(answers, LAYERS)
    print(f"\n{len(answers)} of {drawn} mutants tried\n{'layer':<12}tried killed survived uncovered  score")
    for layer, tried, dead, survived, uncovered in table:
        print(f"{layer:<12}{tried:5d} {dead:6d} {survived:8d} {uncovered:9d}  {100 * dead / tried if tried else 0:4.0f} %")
    if csv is not None:
        _write(csv, table, survivors)
    _, tried, dead, _, _ = table[-1]
    return int(tried > 0 and 100 * dead / tried < at_least)


def _write(path: Path, table: list[tuple[str, int, int, int, int]], survivors: list[dict]) -> None:
    import csv

    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["layer", "tried", "killed", "survived", "not_covered", "file", "line", "kind", "before", "after"])
        writer.writerows([*row, "", "", "", "", ""] for row in table)
        for a in survivors:
            place = [a["file"], a["line"], a["kind"], a["before"], a["after"]]
            writer.writerow([a["layer"], "", "", int(a["outcome"] == "survived"), int(a["outcome"] != "survived"), *place])


if __name__ == "__main__":
    sys.exit(main())
