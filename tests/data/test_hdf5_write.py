"""A disk that is full is one error with the file's name; HDF5 prints nothing, and nothing is left."""

import os

import h5py
import numpy as np
import own_process
import pytest

from taskct.data.hdf5_write import create_hdf5

FULL_DISK = """
import resource, sys
import torch
from taskct.cli.exits import exit_code, explain
from taskct.data.scan import Scan, write_scan
from taskct.geometry import Grid, ParallelBeam
beam = ParallelBeam(views=50, cols=100, pixel_mm=1.0)
scan = Scan(torch.rand(10, 1, 50, 100), beam, Grid((32, 32), 1.0))
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
try:
    write_scan(scan, sys.argv[1])
except OSError as error:
    explain(error, debug=False)
    sys.exit(exit_code(error))
"""


@pytest.mark.parametrize("room", [0, 50_000])
def test_a_scan_that_does_not_fit_on_the_disk_names_its_file_in_one_line(tmp_path, room):
    out = tmp_path / "scan.h5"
    done = own_process.run(FULL_DISK, out, room)
    assert done.returncode == 4, done.stderr
    assert done.stderr == f"taskct: {out}: File too large; free some space or write elsewhere\n"
    assert os.listdir(tmp_path) == []


def test_what_is_written_through_it_is_plain_hdf5(tmp_path):
    values = np.arange(100_000, dtype=np.float32).reshape(100, 1000)
    with create_hdf5(tmp_path / "a.h5") as file:
        file.create_dataset("plain", data=values)
        file.create_dataset("packed", data=values, chunks=(10, 1000), compression="gzip", shuffle=True)
        file.attrs["about"] = "text"
    with h5py.File(tmp_path / "a.h5") as file:
        assert np.array_equal(file["plain"][()], values) and np.array_equal(file["packed"][()], values)
        assert file.attrs["about"] == "text"
