"""The table of a comparison, from its JSON: `python table.py RESULTS.json > RESULTS.md`."""

from __future__ import annotations

import json
import sys
from pathlib import Path


def table(result: dict) -> str:
    machine, versions = result["machine"], result["versions"]
    listed = ", ".join(f"{name} {number}" for name, number in versions.items())
    lines = [
        "# Projectors beside their peers",
        "",
        f"Written by `python benchmarks/projectors/table.py` from a run of `{result['command']}`, {result['threads']} thread.",
        f"{machine['processor']}, {machine['cpus']} CPUs, load {machine['load'][0]:.1f} at the end. {listed}.",
        "Medians of CPU seconds over all threads, alternating; a busy machine makes both sides slower, so trust the ratios.",
        "",
        "| work | taskct, s | peer | peer, s | ratio | relative difference |",
        "|---|---|---|---|---|---|",
    ]
    for row in result["rows"]:
        apart = row.get("relative_difference")
        cells = [
            row["ours"],
            f"{row['cpu_s']:.4f}",
            row.get("peer", "").split("/")[0],
            f"{row['peer_cpu_s']:.3f}" if "peer" in row else "",
            f"{row['ratio']:.1f}" if "peer" in row else "",
            f"{apart:.1e}" if apart is not None else "",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table(json.loads(Path(sys.argv[1]).read_text())))
