"""What the lines of a training say of its best validation."""

from pathlib import Path

from taskct.core.runs import Run
from taskct.training.metrics_log import best_validation


def test_a_validation_that_is_not_a_number_is_not_the_best(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "run", {})
    assert best_validation(run) is None
    for step, total in enumerate((float("nan"), 3.0, 2.0, float("inf"))):
        run.append(kind="validation", step=step, total=total)
    best, count = best_validation(run)  # type: ignore[misc]
    assert (best["step"], count) == (2, 2)
