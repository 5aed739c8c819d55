import json
import shlex

import numpy as np
import torch

from taskct.core.progress import track
from taskct.core.provenance import fingerprint, provenance


def test_provenance_is_plain_values_with_versions_and_what_the_caller_adds():
    facts = provenance(seed=3, licence="CC BY 4.0")
    assert json.loads(json.dumps(facts)) == facts
    assert facts["seed"] == 3
    assert {"taskct", "torch", "numpy"} <= set(facts["versions"])


def test_the_command_can_be_pasted_into_a_shell_again(monkeypatch):
    words = ["dose", "fbp", "--keep", "noise_sd_hu[liver]<=25", "--out", "my runs"]
    monkeypatch.setattr("sys.argv", ["/some/where/taskct", *words])
    assert shlex.split(provenance()["command"]) == ["taskct", *words]


def test_a_fingerprint_sees_values_shape_and_dtype_but_not_the_container():
    values = torch.arange(6.0).view(2, 3)
    assert fingerprint(values) == fingerprint(values.numpy()) == fingerprint(values.clone())
    others = [values + 1e-6, values.view(3, 2), values.double(), np.asfortranarray(values.numpy().T)]
    assert len({fingerprint(values), *[fingerprint(o) for o in others]}) == 5


def test_tracking_yields_the_same_items_shown_or_not(capsys):
    assert list(track(range(3), "counting", progress=False)) == [0, 1, 2]
    assert capsys.readouterr().err == ""
    assert list(track(iter([1, 2]), "counting", total=2, progress=True)) == [1, 2]
