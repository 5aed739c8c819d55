"""Rays and detector positions of a set of poses, as float64 tensors. World order z, y, x; lengths in mm."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from taskct.geometry import Poses


class Frames:
    """Poses as tensors on a device, with the unit vectors that rays and projections of points need."""

    def __init__(self, poses: Poses, device: torch.device) -> None:
        put = lambda a: torch.tensor(np.asarray(a), dtype=torch.float64, device=device)
        self.poses = poses
        self.detector = put(poses.detector_mm)  # (V, 3)
        self.col_step = put(poses.col_step_mm)
        self.row_step = put(poses.row_step_mm)
        self.source = None if poses.source_mm is None else put(poses.source_mm)
        self.direction = None if poses.direction is None else put(poses.direction)
        if poses.curved:
            assert self.source is not None
            row_mm = self.row_step.norm(dim=1, keepdim=True)
            self.row_hat = self.row_step / row_mm
            to_detector = self.detector - self.source
            self.height = (to_detector * self.row_hat).sum(1)  # of the detector's centre above the source, along rows
            in_plane = to_detector - self.height[:, None] * self.row_hat
            self.radius = in_plane.norm(dim=1)  # (V,)
            self.ray_hat = in_plane / self.radius[:, None]
            self.col_hat = self.col_step / self.col_step.norm(dim=1, keepdim=True)
            self.gamma_step = self.col_step.norm(dim=1) / self.radius
            self.row_mm = row_mm[:, 0]

    def rays(self, first: int, last: int) -> tuple[Tensor, Tensor]:
        """A point on each ray and its direction (source to pixel), both (n, 3), for the flat ray numbers first..last."""
        poses = self.poses
        number = torch.arange(first, last, device=self.detector.device)
        v = number // (poses.rows * poses.cols)
        i = (number // poses.cols % poses.rows).double()[:, None] - (poses.rows - 1) / 2
        j = (number % poses.cols).double()[:, None] - (poses.cols - 1) / 2
        if poses.curved:
            assert self.source is not None
            gamma = poses.curved_offset_rad + j * self.gamma_step[v][:, None]
            in_plane = gamma.cos() * self.ray_hat[v] + gamma.sin() * self.col_hat[v]
            rise = self.height[v][:, None] * self.row_hat[v] + i * self.row_step[v]
            return self.source[v], self.radius[v][:, None] * in_plane + rise
        pixel = self.detector[v] + i * self.row_step[v] + j * self.col_step[v]
        if self.source is None:
            assert self.direction is not None
            return pixel, self.direction[v]
        return self.source[v], pixel - self.source[v]

    def project_points(self, points: Tensor, view: int) -> tuple[Tensor, Tensor, Tensor]:
        """Fractional row and column where `points` (P, 3) fall in one view, and the weight 1, U^-2 or L^-2, all (P,)."""
        poses = self.poses
        if poses.curved:
            assert self.source is not None
            seen = points - self.source[view]
            along, across = seen @ self.ray_hat[view], seen @ self.col_hat[view]
            distance = torch.hypot(along, across)
            gamma = torch.atan2(across, along) - poses.curved_offset_rad
            rise = (seen @ self.row_hat[view]) * self.radius[view] / distance - self.height[view]
            i, j, weight = rise / self.row_mm[view], gamma / self.gamma_step[view], distance**-2
        else:
            col, row = self.col_step[view], self.row_step[view]
            normal = torch.linalg.cross(row, col)
            normal = normal / normal.norm()
            if self.source is None:
                assert self.direction is not None
                ray = self.direction[view]
                drop = ((points - self.detector[view]) @ normal) / (ray @ normal)
                hit = points - drop[:, None] * ray - self.detector[view]
                weight = torch.ones_like(drop)
            else:
                seen = points - self.source[view]
                focal = (self.detector[view] - self.source[view]) @ normal
                depth = seen @ normal
                hit = seen * (focal / depth)[:, None] - (self.detector[view] - self.source[view])
                weight = depth**-2
            # hit = i * row + j * col, solved in the plane of the detector
            rr, cc, rc = row @ row, col @ col, row @ col
            hr, hc = hit @ row, hit @ col
            det = rr * cc - rc * rc
            i, j = (hr * cc - hc * rc) / det, (hc * rr - hr * rc) / det
        return i + (poses.rows - 1) / 2, j + (poses.cols - 1) / 2, weight
