"""The peers' side, in their own environment: whichever of ASTRA, scikit-image and RTK are installed.

`python peers.py THREADS`. Each is set up in its own best way, without copies that its users would not make.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
from cases import BALL_PER_MM, BALL_RADIUS, CONE, CONE_256, FAN, PARALLEL
from worker import serve

THREADS = int(sys.argv[1]) if len(sys.argv) > 1 else 1


def ball(shape: tuple[int, ...]) -> np.ndarray:
    axes = np.meshgrid(*[np.arange(n) - (n - 1) / 2 for n in shape], indexing="ij", sparse=True)
    inside = sum(a * a for a in axes) < (BALL_RADIUS * shape[-1]) ** 2
    return BALL_PER_MM * inside.astype(np.float32)


@cache
def astra_case(name: str) -> dict[str, Any]:
    import astra

    if name == "parallel":
        n, views, kind = PARALLEL["pixels"], PARALLEL["views"], "linear"
        scan = astra.create_proj_geom("parallel", 1.0, PARALLEL["cols"], -np.linspace(0, np.pi, views, endpoint=False))
    else:
        n, views, kind = FAN["pixels"], FAN["views"], "line_fanflat"
        angles = np.pi - np.linspace(0, 2 * np.pi, views, endpoint=False)
        distances = FAN["source_iso_mm"], FAN["iso_detector_mm"]
        scan = astra.create_proj_geom("fanflat", FAN["pixel_mm"], FAN["cols"], angles, *distances)
    volume = astra.create_vol_geom(n, n)
    projector = astra.create_projector(kind, scan, volume)
    number, p = astra.create_sino(ball((n, n)), projector)
    return {"volume": volume, "scan": scan, "projector": projector, "mu": ball((n, n)), "p": p, "sino": number}


def astra_forward(name: str) -> np.ndarray:
    import astra

    case = astra_case(name)
    number, p = astra.create_sino(case["mu"], case["projector"])
    astra.data2d.delete(number)
    return p


def astra_adjoint(name: str) -> np.ndarray:
    import astra

    case = astra_case(name)
    number, mu = astra.create_backprojection(case["p"], case["projector"])
    astra.data2d.delete(number)
    return mu


def astra_fbp(name: str) -> np.ndarray:
    import astra

    case = astra_case(name)
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
    return mu


@cache
def skimage_case() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    from skimage.transform import radon

    mu, theta = ball((PARALLEL["pixels"],) * 2), np.arange(PARALLEL["views"]) * 180 / PARALLEL["views"]
    return mu, theta, radon(mu, theta, circle=True)


def skimage_forward() -> np.ndarray:
    from skimage.transform import radon

    mu, theta, _ = skimage_case()
    return radon(mu, theta, circle=True)


def skimage_fbp() -> np.ndarray:
    from skimage.transform import iradon

    _, theta, p = skimage_case()
    return iradon(p, theta, circle=True)


@cache
def rtk_case(name: str) -> dict[str, Any]:
    import itk
    from itk import RTK

    itk.MultiThreaderBase.SetGlobalDefaultNumberOfThreads(THREADS)
    case = CONE if name == "cone" else CONE_256
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

    n, cols, pixel = case["voxels"], case["cols"], case["pixel_mm"]
    volume = constant([n] * 3, [1.0] * 3)
    itk.array_view_from_image(volume)[:] = ball((n, n, n))
    volume.Modified()
    found = {"kind": kind, "scan": scan, "mu": volume, "zero_mu": constant([n] * 3, [1.0] * 3)}
    found["zero_p"] = constant([cols, cols, case["views"]], [pixel, pixel, 1.0])
    found["p"] = rtk_run(found, RTK.JosephForwardProjectionImageFilter[kind, kind], "zero_p", "mu")
    return found


def rtk_run(case: dict[str, Any], filter_type: Any, first: str, second: str) -> Any:
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


def rtk(name: str, what: str) -> np.ndarray:
    import itk
    from itk import RTK

    case = rtk_case(name)
    kind = case["kind"]
    types = {
        "forward": lambda: rtk_run(case, RTK.JosephForwardProjectionImageFilter[kind, kind], "zero_p", "mu"),
        "adjoint": lambda: rtk_run(case, RTK.JosephBackProjectionImageFilter[kind, kind], "zero_mu", "p"),
        "backproject": lambda: rtk_run(case, RTK.BackProjectionImageFilter[kind, kind], "zero_mu", "p"),
        "fbp": lambda: rtk_run(case, RTK.FDKConeBeamReconstructionFilter[kind], "zero_mu", "p"),
    }
    return itk.array_view_from_image(types[what]())


def offers() -> tuple[dict[str, Callable[[], np.ndarray]], dict[str, str]]:
    found: dict[str, Callable[[], np.ndarray]] = {}
    versions = {}
    for package in ("astra-toolbox", "scikit-image", "itk-rtk"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    if "astra-toolbox" in versions:
        for name in ("parallel", "fan"):
            found[f"astra {name}/forward"] = lambda name=name: astra_forward(name)
            found[f"astra {name}/adjoint"] = lambda name=name: astra_adjoint(name)
        found["astra parallel/fbp"] = lambda: astra_fbp("parallel")
    if "scikit-image" in versions:
        found["skimage parallel/forward"] = skimage_forward
        found["skimage parallel/fbp"] = skimage_fbp
    if "itk-rtk" in versions:
        for name in ("cone", "cone 256"):
            for what in ("forward", "adjoint", "backproject", "fbp"):
                found[f"rtk {name}/{what}"] = lambda name=name, what=what: rtk(name, what)
    return found, versions


if __name__ == "__main__":
    serve(*offers())
