"""Kernels for CUDA tensors, compiled at run time, and the same source on the CPU for machines without a GPU (docs/gpu.md)."""
