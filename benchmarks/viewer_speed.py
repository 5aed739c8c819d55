"""How fast the viewer is on a synthetic CT of 512 x 512 x 300: first picture, slices a second, three planes, in Chromium.

    python benchmarks/viewer_speed.py [--planes 300] [--software-gl]

Needs the extra `viewer`, playwright and a Chromium. Times are wall clock. The CPU time of all processes of the browser is
reported as well: other work on the machine slows the clock, not this number.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from playwright.sync_api import sync_playwright

from taskct.data.case import Case
from taskct.data.nifti import write_nifti

SCROLL = """async (count) => {
  const view = taskctView, slider = document.getElementById("plane"), begun = performance.now(), first = view.frames();
  for (let k = 0; k < count; k++) {
    slider.value = k % view.facts().planes.length;
    slider.dispatchEvent(new Event("input"));
    await new Promise(requestAnimationFrame);
  }
  return (1000 * (view.frames() - first)) / (performance.now() - begun);
}"""


def synthetic(planes: int) -> Case:
    """A noisy ellipse of water with an insert that moves through it."""
    noise = (30 * torch.randn(512, 512, generator=torch.Generator().manual_seed(0))).round()
    y, x = torch.meshgrid(torch.arange(512), torch.arange(512), indexing="ij")
    body = ((y - 256) / 150) ** 2 + ((x - 256) / 210) ** 2 < 1
    hu = torch.where(body, noise + 40, torch.tensor(-1000.0)).expand(planes, -1, -1).clone()
    for z in range(planes):
        hu[z, 200:260, 150 + z % 150 : 200 + z % 150] += 60
    return Case(hu, (2.5, 0.8, 0.8), case_id="synthetic")


def cpu_seconds(name: str) -> float:
    """User and system time in s of every process of this machine whose program has `name` in its name."""
    total = 0.0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = stat.read_text()
        except OSError:
            continue
        if name in text[text.index("(") : text.rindex(")")]:
            total += sum(map(int, text[text.rindex(")") + 2 :].split()[11:13])) / os.sysconf("SC_CLK_TCK")
    return total


def ready(page: Any) -> None:
    while page.locator('.panel[data-ready="true"]').count() == 0:
        page.wait_for_timeout(5)


def main() -> None:
    words = argparse.ArgumentParser()
    words.add_argument("--planes", type=int, default=300)
    words.add_argument(
        "--software-gl",
        action="store_true",
        help="Render WebGL on the processor (SwiftShader), on machines without a graphics card.",
    )
    asked = words.parse_args()
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    flags = ["--no-sandbox", *(["--use-angle=swiftshader", "--enable-unsafe-swiftshader"] if asked.software_gl else [])]
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as running:
        path = Path(folder) / "synthetic.nii"
        write_nifti(synthetic(asked.planes), path)
        begun = time.perf_counter()
        viewer = subprocess.Popen([sys.executable, "-m", "taskct", "view", str(path)], stdout=subprocess.PIPE, text=True)
        assert viewer.stdout is not None
        address = viewer.stdout.readline().strip()
        print(f"load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
        print(f"command to address: {time.perf_counter() - begun:.2f} s")
        page = running.chromium.launch(executable_path=browser, args=flags).new_page(viewport={"width": 1400, "height": 900})
        page.set_default_timeout(600_000)
        begun = time.perf_counter()
        page.goto(address, wait_until="commit")
        ready(page)
        kept = page.evaluate("taskctView.kept()")
        print(f"first picture: {time.perf_counter() - begun:.2f} s, with {kept['bytes'] / 2**20:.1f} MiB sent")
        while page.evaluate("taskctView.kept().count") < asked.planes:
            page.wait_for_timeout(50)
        print(f"all slices in the browser: {time.perf_counter() - begun:.2f} s")
        before = cpu_seconds("chrom")
        frames = page.evaluate(SCROLL, 90)
        print(f"scrolling: {frames:.1f} slices a second; {(cpu_seconds('chrom') - before) / 90 * 1000:.1f} ms of CPU a slice")
        if asked.software_gl:
            page.keyboard.press("t")
            note = page.locator("#three-note")
            while not note.inner_text().startswith(("ready", "This browser", "three planes cannot")):
                page.wait_for_timeout(100)
            print(f"three planes: {note.inner_text()}")
            print(f"three planes: {page.evaluate('taskctView.measureFrames(20)'):.1f} pictures a second")
        viewer.terminate()


if __name__ == "__main__":
    main()
