"""Real livers through networks that were trained on built-in patients: docs/real-ct-task.md and its figure.

    python docs/make_real_ct_task_figure.py DATA RUNS [--models NAME ...] [--readers NAME ...] [--places 6]

DATA holds `abdomen_totalseg_siemens20`, `abdomen_totalseg_3mm`, `dicom_seg_liver_3slice` and `abdomen_crlm1004` (sources and
licences are on the page). RUNS holds run folders: of readers (config with [reader]) and of reconstructions ([model], [beam]).
Lesions are put into the CT before it is projected. A few minutes on one core.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from taskct.core.files import write_text
from taskct.systems.adaptive.real_ct import audit_all, draw, liver_rows
from taskct.systems.adaptive.real_ct_cases import read_subjects
from taskct.systems.adaptive.real_ct_page import page
from taskct.systems.adaptive.real_ct_runs import load_runs

HERE = Path(__file__).parent
PAGE, FIGURE = HERE / "real-ct-task.md", HERE / "figures" / "real_ct_task.png"


def main(words: Sequence[str] | None = None) -> None:
    """Read, ask, draw, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("runs", type=Path)
    parser.add_argument("--models", nargs="*", default=())
    parser.add_argument("--readers", nargs="*", default=())
    parser.add_argument("--places", type=int, default=6, help="lesions of each size and contrast in a patient, at most")
    parser.add_argument("--page", type=Path, default=PAGE)
    parser.add_argument("--figure", type=Path, default=FIGURE)
    chosen = parser.parse_args(words)
    trained = load_runs(chosen.runs, models=chosen.models, readers=chosen.readers)
    subjects = read_subjects(chosen.data)
    dose = trained.doses[-1] if len(trained.doses) == 1 else trained.doses[0]
    rows = liver_rows(subjects, trained, dose)
    audits = audit_all(subjects, trained, dose, most=chosen.places)
    chosen.figure.parent.mkdir(parents=True, exist_ok=True)
    draw(subjects, trained, dose, chosen.figure, reader=trained.readers[-1])
    write_text(chosen.page, page(rows, audits, trained, dose), overwrite=True)


if __name__ == "__main__":
    main()
