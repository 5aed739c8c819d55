"""Write the table of the audit into docs/task-adaptive.md from benchmarks/results/audit_task_adaptive.csv.

python docs/make_audit_table.py     of the CSV that benchmarks/audit/audit_task_adaptive.py wrote
"""

from __future__ import annotations

import csv
from pathlib import Path

from page_tables import filled

PAGE = Path(__file__).with_name("task-adaptive.md")
ROWS = Path(__file__).parent.parent / "benchmarks" / "results" / "audit_task_adaptive.csv"


def table() -> str:
    """A line for each gain: the audit's, its corrected p, the package's, and whether they agree."""
    lines = [
        "| network, against | photons | score | audit | p, corrected | package | agree |",
        "|---|---:|---|---:|---:|---:|---|",
    ]
    with open(ROWS, newline="", encoding="utf-8") as f:
        rows = list(csv.DictReader(f))
    interval = lambda row, name: (
        f"{float(row[name]):+.3f} [{float(row[f'{name}_low']):+.3f}, {float(row[f'{name}_high']):+.3f}]"
    )
    for row in rows:
        photons = f"{float(row['photons']):,.0f}"
        agree = "yes" if row["agrees"] == "True" else "**no**"
        lines.append(
            f"| `{row['method']}`, `{row['baseline']}` | {photons} | {row['score']} | {interval(row, 'audit')} | "
            f"{float(row['audit_p_holm']):.2g} | {interval(row, 'package')} | {agree} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Fill the table of the page."""
    PAGE.write_text(filled(PAGE, {"audit": table()}), encoding="utf-8")


if __name__ == "__main__":
    main()
