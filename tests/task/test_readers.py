"""Readers: what they are made of, and what their runs must hold."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from taskct.core.config import to_dict
from taskct.core.errors import ConfigError, InputError
from taskct.core.runs import Run
from taskct.task.readers import READERS, ReaderSpec, as_task, load_reader, make_reader, reader_window


@pytest.mark.parametrize("net", READERS)
def test_every_reader_answers_for_each_class_and_pixel_and_can_be_frozen(net: str) -> None:
    spec = ReaderSpec(net=net, classes=("background", "liver", "tumour", "cyst"))
    task = as_task(make_reader(spec), spec, net)
    mu = torch.full((2, 1, 32, 48), 0.02, requires_grad=True)
    assert task.predict(mu).shape == (2, 4, 32, 48)
    task(mu, torch.ones(2, 32, 48, dtype=torch.int64)).backward()
    assert mu.grad is not None and float(mu.grad.abs().sum()) > 0


def test_readers_differ_in_kind_so_that_some_can_stay_unseen() -> None:
    sizes = {net: sum(p.numel() for p in make_reader(ReaderSpec(net=net)).parameters()) for net in READERS}
    assert len(set(sizes.values())) == len(READERS) >= 4


def test_a_reader_sees_the_soft_tissue_of_the_abdomen() -> None:
    window = reader_window(ReaderSpec())
    seen = window(torch.tensor([0.9, 1.22]) * 0.01929)  # -100 and 220 HU
    assert seen.tolist() == pytest.approx([0.0, 1.0], abs=1e-5)


def test_a_reader_saved_as_a_run_comes_back_frozen_and_the_same(tmp_path: Path) -> None:
    spec = ReaderSpec(net="unet_fast", class_weights=(1.0, 1.0, 2.0))
    net = make_reader(spec)
    run = Run.create(tmp_path / "reader", {"reader": to_dict(spec)})
    run.save_tensors("weights.safetensors", net.state_dict())
    task, mu = load_reader(tmp_path / "reader"), torch.rand(1, 1, 32, 32) * 0.04
    assert task.name == "reader"
    assert torch.equal(task.predict(mu), as_task(net, spec, "x").predict(mu))


def test_errors_name_the_run_and_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="unknown reader 'unett'; did you mean 'unet'"):
        ReaderSpec(net="unett")
    with pytest.raises(ConfigError, match="at least one other class"):
        ReaderSpec(classes=("background",))
    with pytest.raises(ConfigError, match="a weight for each of 3 classes"):
        ReaderSpec(class_weights=(1.0,))
    Run.create(tmp_path / "other", {"model": {"kind": "itnet"}})
    with pytest.raises(InputError, match=r"other: not a reader run"):
        load_reader(tmp_path / "other")
    Run.create(tmp_path / "young", {"reader": to_dict(ReaderSpec())})
    with pytest.raises(InputError, match=r"young: holds no weights yet"):
        load_reader(tmp_path / "young")
