"""The peers' side, in their own environment: whichever of ASTRA, ODL, scikit-image and RTK are installed there.

Run as a script by `compare`; it imports nothing of taskct. Each peer is set up in its own best way, without copies that its
users would not make. `serve` is the loop of both sides.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

Case = dict[str, Any]


def serve(answer: Callable[[str, Case], Callable[[], Any]], hello: dict[str, Any]) -> None:
    """Answer one JSON object per line: {"run": work, "case": numbers, "turn_s": s} with the seconds of a run, the mean of
    those until s have passed, and with "save" a result on disk.

    The first line out is `hello`. A work that is not offered, or fails, is answered by {"error": why}.
    """
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # libraries print on stdout
    print(json.dumps(hello), file=out, flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            work = answer(asked["run"], asked["case"])
            if "save" in asked:
                np.save(asked["save"], np.array(work(), subok=False))
                said: dict[str, Any] = {"saved": asked["save"]}
            else:
                before = restart_peak_memory()
                cpu, wall, runs, passed = time.process_time(), time.perf_counter(), 0, 0.0
                while runs == 0 or passed < asked["turn_s"]:
                    work()
                    runs, passed = runs + 1, time.perf_counter() - wall
                cpu = time.process_time() - cpu
                said = {"cpu_s": cpu / runs, "wall_s": passed / runs, "memory_mib": peak_memory_mib() - before}
        except Exception as error:  # one peer's failure must not end the comparison
            said = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(said), file=out, flush=True)


def restart_peak_memory() -> float:
    """MiB in use; on Linux the peak starts again from here."""
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
    except OSError:
        pass
    return peak_memory_mib()


def peak_memory_mib() -> float:
    """The most that this process had in use, MiB."""
    try:
        with open("/proc/self/status") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmHWM")) / 1024
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def ball(shape: tuple[int, ...], case: Case) -> np.ndarray:
    """The ball (or disk) of a case in an image of this shape."""
    shift = case["ball_shift"][-len(shape) :]
    axes = np.meshgrid(
        *[np.arange(n) - (n - 1) / 2 - n * s for n, s in zip(shape, shift, strict=True)], indexing="ij", sparse=True
    )
    inside = sum(a * a for a in axes) < (case["ball_radius"] * shape[-1]) ** 2
    return np.asarray(case["ball_per_mm"] * inside, dtype=np.float32)


def _image(case: Case, dim: int) -> np.ndarray:
    return ball((case["pixels"],) * dim, case)


@lru_cache(maxsize=2)
def _astra(words: str) -> dict[str, Any]:
    astra: Any = import_module("astra")

    case = json.loads(words)
    n, views = case["pixels"], case["views"]
    if case["kind"] == "parallel":
        angles = -np.linspace(0, np.pi, views, endpoint=False)
        scan, kind = astra.create_proj_geom("parallel", case["pixel_mm"], case["cols"], angles), "linear"
    else:
        angles = np.pi - np.linspace(0, 2 * np.pi, views, endpoint=False)
        distances = case["source_iso_mm"], case["source_detector_mm"] - case["source_iso_mm"]
        scan, kind = astra.create_proj_geom("fanflat", case["pixel_mm"], case["cols"], angles, *distances), "line_fanflat"
    volume = astra.create_vol_geom(n, n)
    projector = astra.create_projector(kind, scan, volume)
    mu = _image(case, 2)
    number, p = astra.create_sino(mu, projector)
    return {"volume": volume, "projector": projector, "mu": mu, "p": p, "sino": number}


def _astra_forward(words: str) -> np.ndarray:
    astra: Any = import_module("astra")

    case = _astra(words)
    number, p = astra.create_sino(case["mu"], case["projector"])
    astra.data2d.delete(number)
    return np.asarray(p)


def _astra_adjoint(words: str) -> np.ndarray:
    astra: Any = import_module("astra")

    case = _astra(words)
    number, mu = astra.create_backprojection(case["p"], case["projector"])
    astra.data2d.delete(number)
    return np.asarray(mu)


def _astra_fbp(words: str) -> np.ndarray:
    astra: Any = import_module("astra")

    case = _astra(words)
    target = astra.data2d.create("-vol", case["volume"])
    settings = astra.astra_dict("FBP")
    settings["ProjectorId"] = case["projector"]
    settings["ReconstructionDataId"] = target
    settings["ProjectionDataId"] = case["sino"]
    run = astra.algorithm.create(settings)
    astra.algorithm.run(run)
    mu = astra.data2d.get(target)
    astra.algorithm.delete(run)
    astra.data2d.delete(target)
    return np.asarray(mu)


@lru_cache(maxsize=2)
def _odl(words: str) -> dict[str, Any]:
    odl: Any = import_module("odl")
    tomo = odl.applications.tomo

    case = json.loads(words)
    n, half = case["pixels"], case["cols"] * case["pixel_mm"] / 2
    space = odl.uniform_discr([-n / 2] * 2, [n / 2] * 2, [n, n], dtype="float32")
    columns = odl.uniform_partition(-half, half, case["cols"])
    turn = np.pi if case["kind"] == "parallel" else 2 * np.pi
    first = -turn / case["views"] / 2  # views stand in the middle of their parts
    angles = odl.uniform_partition(first, first + turn, case["views"])
    if case["kind"] == "parallel":
        scan = tomo.Parallel2dGeometry(angles, columns)
    else:
        beyond = case["source_detector_mm"] - case["source_iso_mm"]
        scan = tomo.FanBeamGeometry(angles, columns, src_radius=case["source_iso_mm"], det_radius=beyond)
    operator = tomo.RayTransform(space, scan, impl="astra_cpu")
    mu = space.element(_image(case, 2).T.copy())  # ODL's arrays are (x, y)
    return {"forward": operator, "adjoint": operator.adjoint, "fbp": tomo.fbp_op(operator), "mu": mu, "p": operator(mu)}


def _odl_work(words: str, what: str) -> np.ndarray:
    case = _odl(words)
    return np.asarray(case[what](case["mu" if what == "forward" else "p"]).asarray())


@lru_cache(maxsize=2)
def _skimage(words: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    from skimage.transform import radon

    case = json.loads(words)
    mu, theta = _image(case, 2), np.arange(case["views"]) * 180 / case["views"]
    return mu, theta, radon(mu, theta, circle=True)


def _skimage_forward(words: str) -> np.ndarray:
    from skimage.transform import radon

    mu, theta, _ = _skimage(words)
    return np.asarray(radon(mu, theta, circle=True))


def _skimage_fbp(words: str) -> np.ndarray:
    from skimage.transform import iradon

    _, theta, p = _skimage(words)
    return np.asarray(iradon(p, theta, circle=True))


@lru_cache(maxsize=2)
def _rtk(words: str) -> dict[str, Any]:
    itk: Any = import_module("itk")
    RTK = itk.RTK

    itk.MultiThreaderBase.SetGlobalDefaultNumberOfThreads(int(sys.argv[1]))
    case = json.loads(words)
    kind = itk.Image[itk.F, 3]
    scan = RTK.ThreeDCircularProjectionGeometry.New()
    for k in range(case["views"]):
        scan.AddProjection(case["source_iso_mm"], case["source_detector_mm"], k * 360.0 / case["views"])

    def constant(size: list[int], spacing: list[float]) -> Any:
        source = RTK.ConstantImageSource[kind].New()
        source.SetSize(size)
        source.SetSpacing(spacing)
        source.SetOrigin([-(n - 1) / 2 * s for n, s in zip(size, spacing, strict=True)])
        source.SetConstant(0.0)
        source.Update()
        image = source.GetOutput()
        image.DisconnectPipeline()
        return image

    n, cols, pixel = case["pixels"], case["cols"], case["pixel_mm"]
    volume = constant([n] * 3, [1.0] * 3)
    itk.array_view_from_image(volume)[:] = _image(case, 3).transpose(1, 0, 2)  # RTK turns about its second axis
    volume.Modified()
    found = {"kind": kind, "scan": scan, "mu": volume, "zero_mu": constant([n] * 3, [1.0] * 3)}
    found["zero_p"] = constant([cols, cols, case["views"]], [pixel, pixel, 1.0])
    found["p"] = _rtk_run(found, RTK.JosephForwardProjectionImageFilter[kind, kind], "zero_p", "mu")
    return found


def _rtk_run(case: dict[str, Any], filter_type: Any, first: str, second: str) -> Any:
    step = filter_type.New()
    if hasattr(step, "InPlaceOff"):
        step.InPlaceOff()
    step.SetInput(0, case[first])
    step.SetInput(1, case[second])
    step.SetGeometry(case["scan"])
    step.Update()
    image = step.GetOutput()
    image.DisconnectPipeline()
    return image


def _rtk_work(words: str, what: str) -> Any:
    itk: Any = import_module("itk")
    RTK = itk.RTK

    case = _rtk(words)
    kind = case["kind"]
    filters = {
        "forward": lambda: (RTK.JosephForwardProjectionImageFilter[kind, kind], "zero_p", "mu"),
        "adjoint": lambda: (RTK.JosephBackProjectionImageFilter[kind, kind], "zero_mu", "p"),
        "backproject": lambda: (RTK.BackProjectionImageFilter[kind, kind], "zero_mu", "p"),
        "fbp": lambda: (RTK.FDKConeBeamReconstructionFilter[kind], "zero_mu", "p"),
    }
    return itk.array_view_from_image(_rtk_run(case, *filters[what]()))  # a view that keeps the image


SET_UPS: dict[str, Callable[[str], Any]] = {"astra": _astra, "odl": _odl, "skimage": _skimage, "rtk": _rtk}  # kept
PACKAGES = {"astra": "astra-toolbox", "odl": "odl", "skimage": "scikit-image", "rtk": "itk-rtk"}
OFFERS: dict[tuple[str, str, str], Callable[[str], Any]] = {
    ("astra", "parallel", "forward"): _astra_forward,
    ("astra", "parallel", "adjoint"): _astra_adjoint,
    ("astra", "parallel", "backproject"): _astra_adjoint,
    ("astra", "parallel", "fbp"): _astra_fbp,
    ("astra", "fan", "forward"): _astra_forward,
    ("astra", "fan", "adjoint"): _astra_adjoint,
    ("odl", "parallel", "forward"): lambda words: _odl_work(words, "forward"),
    ("odl", "parallel", "adjoint"): lambda words: _odl_work(words, "adjoint"),
    ("odl", "parallel", "fbp"): lambda words: _odl_work(words, "fbp"),
    ("odl", "fan", "forward"): lambda words: _odl_work(words, "forward"),
    ("odl", "fan", "adjoint"): lambda words: _odl_work(words, "adjoint"),
    ("skimage", "parallel", "forward"): _skimage_forward,
    ("skimage", "parallel", "fbp"): _skimage_fbp,
    ("rtk", "cone", "forward"): lambda words: _rtk_work(words, "forward"),
    ("rtk", "cone", "adjoint"): lambda words: _rtk_work(words, "adjoint"),
    ("rtk", "cone", "backproject"): lambda words: _rtk_work(words, "backproject"),
    ("rtk", "cone", "fbp"): lambda words: _rtk_work(words, "fbp"),
}


def answer(work: str, case: Case) -> Callable[[], Any]:
    """`astra forward` of a case, as a function that does it; ValueError when this peer has no such thing."""
    peer, _, what = work.partition(" ")
    do = OFFERS.get((peer, case["kind"], what))
    if do is None or case["batch"] != 1:
        raise ValueError(f"{peer} offers no {what} of {case['kind']}")
    words = json.dumps(case, sort_keys=True)
    SET_UPS[peer](words)
    return lambda: do(words)


def installed() -> dict[str, str]:
    """Versions of the peers that are here."""
    found = {}
    for peer, package in PACKAGES.items():
        try:
            found[peer] = version(package)
        except PackageNotFoundError:
            continue
    return found


if __name__ == "__main__":
    serve(answer, {"peers": installed(), "offers": sorted(OFFERS)})
