from __future__ import annotations

from pathlib import Path

import pytest

from taskct.core.errors import ConfigError
from taskct.core.runs import Run
from taskct.recon.learned import make_model
from taskct.recon.learned.real_ct_net import RealCT
from taskct.recon.reconstructor_config import methods_from_config


def test_methods_are_reconstructors_with_their_settings() -> None:
    made = methods_from_config({"smooth": {"method": "fbp", "window": "hann"}, "tv_min": {"strength": 0.5}})
    assert made["smooth"].func.__name__ == "fbp" and made["smooth"].keywords == {"window": "hann"}
    assert made["tv_min"].func.__name__ == "tv_min" and made["tv_min"].keywords == {"strength": 0.5}


def test_the_name_of_a_method_serves_when_none_is_given() -> None:
    assert methods_from_config({"fbp": {}})["fbp"].func.__name__ == "fbp"


def test_what_is_not_a_table_of_known_settings_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"methods\.a: expected a table"):
        methods_from_config({"a": 3})
    with pytest.raises(ConfigError, match="unknown method 'a'"):
        methods_from_config({"a": {}})
    with pytest.raises(ConfigError, match=r"\[methods\.fbp\] 'windwo'; did you mean 'window'"):
        methods_from_config({"fbp": {"windwo": "hann"}})


def test_tv_is_short_for_tv_min() -> None:
    made = methods_from_config({"tv strength=0.5": {"method": "tv", "strength": 0.5}})["tv strength=0.5"]
    assert made.func.__name__ == "tv_min" and made.keywords == {"strength": 0.5}


def test_a_network_takes_the_settings_that_it_offers_and_refuses_others(tmp_path: Path) -> None:
    for name, model in (("real", {"kind": "real_ct", "widths": [4, 8]}), ("unet", {"kind": "fbp_unet", "widths": [4, 8]})):
        run = Run.create(tmp_path / name, {"model": model, "training": {"steps": 1}})
        run.save_tensors("weights.safetensors", make_model(model).state_dict())
    real = {"method": str(tmp_path / "real"), "blend": 0.7, "flips": 4, "otherwise": "warn"}
    made = methods_from_config({"a": real})["a"]
    assert isinstance(made, RealCT) and (made.blend, made.flips) == (0.7, 4)
    with pytest.raises(ConfigError, match="blend"):
        methods_from_config({"a": {**real, "blend": 2}})
    with pytest.raises(ConfigError, match=r"methods\.a: the network '.*unet' has no setting blend"):
        methods_from_config({"a": {**real, "method": str(tmp_path / "unet")}})
    with pytest.raises(ConfigError, match="'blendd'; did you mean 'blend'\\? one of otherwise, blend, flips"):
        methods_from_config({"a": {"method": real["method"], "blendd": 0.5}})
