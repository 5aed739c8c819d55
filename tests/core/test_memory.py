"""How much memory is free: of the machine, of its container, of this process; and what does not fit is refused by name."""

import resource

import pytest

from taskct.core import memory
from taskct.core.errors import ResourceError
from taskct.core.memory import free_bytes, require_memory, says_out_of_memory

GIB = 2**30


@pytest.fixture
def machine(monkeypatch):
    """Files of a kernel that says what the test says."""
    files: dict[str, str] = {"/proc/meminfo": f"MemTotal: 99 kB\nMemAvailable:   {8 * GIB // 1024} kB\n"}
    monkeypatch.setattr(memory, "_system_text", files.get)
    monkeypatch.setattr(resource, "getrlimit", lambda which: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    return files


def test_the_smallest_of_machine_container_and_process_counts(machine, monkeypatch):
    assert free_bytes() == 8 * GIB
    limit, use, stat = memory._CGROUPS[0]
    machine |= {limit: f"{6 * GIB}\n", use: f"{3 * GIB}\n", stat: f"anon 5\ninactive_file {GIB}\n"}
    assert free_bytes() == 4 * GIB  # cached files are given back
    machine[limit] = "max\n"
    assert free_bytes() == 8 * GIB
    machine["/proc/self/statm"] = "262144 1 1"  # pages of 4 KiB: 1 GiB
    monkeypatch.setattr(resource, "getrlimit", lambda which: (2 * GIB, 2 * GIB))
    assert free_bytes() == pytest.approx(GIB, rel=1e-6)


def test_what_does_not_fit_is_refused_by_name_and_what_just_fits_is_not(machine):
    require_memory("ct.nii", 8 * GIB)
    with pytest.raises(ResourceError, match=r"ct\.nii: reading it takes about 8\.0 GiB of memory, and 8\.0 GiB are free"):
        require_memory("ct.nii", 8 * GIB + 1)
    machine.clear()
    assert free_bytes() is None or free_bytes() > 0


def test_lack_of_memory_is_told_from_other_errors():
    assert says_out_of_memory(MemoryError()) and says_out_of_memory(RuntimeError("CUDA out of memory. Tried to"))
    assert not says_out_of_memory(RuntimeError("shape mismatch")) and not says_out_of_memory(ValueError("out of memory"))
