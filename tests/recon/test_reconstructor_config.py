from __future__ import annotations

import pytest

from taskct.core.errors import ConfigError
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
