"""DICOM: CT series in and out, segmentations, and what is odd about a file. Modules are imported where they are needed."""
