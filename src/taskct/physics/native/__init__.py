"""Compiled CPU kernels: C++ behind a plain C ABI, one library per instruction set, chosen when first used."""
