"""
Your own CT at a lower dose
===========================

A DICOM series in, a low-dose DICOM series out. Here the series is written first, so that the example runs anywhere:
put the folder of your series in its place.
"""

import tempfile
from pathlib import Path

import taskct

folder = Path(tempfile.mkdtemp())
patient = taskct.phantom_case("abdomen", seed=1, shape=(3, 96, 96), spacing_mm=(5.0, 3.7, 3.7))
taskct.write_series(patient, folder / "series")
taskct.write_nifti(patient, folder / "ct.nii.gz")

# %%
# Open it. The format is recognised from the first bytes: DICOM folders, NIfTI, MetaImage, NRRD, HDF5. The notes list
# whatever was unusual about the file.
case = taskct.open_case(folder / "series")
case

# %%
# Scan it at a tenth of the dose. ``scan_case`` takes all slices and remembers where they lie in the patient; it
# projects a finer grid than it reconstructs on.
beam = taskct.FanBeam(views=180, cols=190, pixel_mm=4.6, source_iso_mm=595, source_detector_mm=1085.6)
scan = taskct.scan_case(case, beam, taskct.Dose(photons=1e6, fraction=0.1, electronic_std=10), seed=0, progress=False)
scan

# %%
# Reconstruct, and turn the result into HU on the samples of the CT.
mu = taskct.fbp(scan.p, scan.projector(), window="hann")
low = scan.to_case(mu, made_by="fbp, Hann window")
taskct.show({"as it was": case, "a tenth of the dose": low}, slices=1, window="soft tissue")

# %%
# Write a derived DICOM series (new UIDs, de-identified, in the place of the original) and a NIfTI file.
files = taskct.write_series(low, folder / "low", source=folder / "series", description="10 % dose, simulated")
taskct.write_nifti(low, folder / "low.nii.gz")
print(len(files), "DICOM files;", "NIfTI and DICOM hold the same study:", taskct.open_case(folder / "low.nii.gz"))

# %%
# The same from the command line::
#
#     taskct simulate series/ --dose 0.1 --electronic-std 10 --out scan.h5
#     taskct reconstruct scan.h5 --window hann --out low_series/ --source series/
