"""A user's pair of radiographs: films and poses read, compared with one another, refused where they contradict."""

from taskct.data.radiographs.pair import LEAST_FIELD_MM, PairCheck, RadiographPair, check_radiographs, read_radiographs
from taskct.data.radiographs.pose_file import PoseFile, ViewPose, read_pose_file

__all__ = [
    "LEAST_FIELD_MM",
    "PairCheck",
    "PoseFile",
    "RadiographPair",
    "ViewPose",
    "check_radiographs",
    "read_pose_file",
    "read_radiographs",
]
