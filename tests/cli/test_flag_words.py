"""Messages on the command line name what to type, not arguments of Python."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from taskct.cli.flag_words import in_flags

Says = Callable[..., tuple[int, str, str]]
NOT_READ = "cts: 4 of 9 cases cannot be read (skip_bad=True leaves them out): [1] a; [2] b; [3] c; and 1 more"


@pytest.mark.parametrize(
    ("message", "command", "said"),
    [
        ("a.nii: exists; say --overwrite (overwrite=True)", "simulate a", "a.nii: exists; say --overwrite"),
        ("it changed; refresh=True (--refresh) makes it anew", "data prepare a", "it changed; --refresh makes it anew"),
        ("choose one with series_uid=... (--series): a, b", "info a", "choose one with --series: a, b"),
        ("say so (same_patient=True, --same-patient)", "biplanar a b", "say so (--same-patient)"),
        ("give it as labels (labels=..., --labels s.dcm)", "view a", "give it as labels (--labels s.dcm)"),
        ("4 cases (skip_bad=True, --skip-bad leaves them out)", "data prepare", "4 cases (--skip-bad leaves them out)"),
        (
            NOT_READ,
            "evaluate cts",
            "cts: 4 of 9 cases cannot be read; --each takes every CT on its own and passes over these: [1] a; [2] b; [3] c; "
            "and 1 more",
        ),
        (
            NOT_READ,
            "train c.toml",
            "cts: 4 of 9 cases cannot be read; taskct data prepare --skip-bad makes a store of the others: [1] a; [2] b; "
            "[3] c; and 1 more",
        ),
        (NOT_READ, "view cts", "cts: 4 of 9 cases cannot be read: [1] a; [2] b; [3] c; and 1 more"),
        ("or load it by load_reconstructor('net', otherwise='warn')", "evaluate a", "or type net:otherwise=warn"),
        ("or load it by load_reconstructor('net', otherwise='warn')", "reconstruct a", "or add --set otherwise=warn"),
        ("leave it, or load it by load_reconstructor('net', otherwise='warn')", "dose net", "leave it"),
        (
            "made; give it: load_reconstructor(run, model=...), or --model F.py:N on the command line",
            "view a",
            "made; give --model F.py:N",
        ),
        ("take it with grey='presentation'", "biplanar a b", "take it with --grey 'presentation'"),
        ("say which (trust='header' or 'poses')", "biplanar a b", "say which (--trust 'header' or 'poses')"),
        ("methods.a: expected a table", "evaluate c.toml", "methods.a: expected a table"),
        ("methods.net x=1: no setting x", "evaluate a --methods net:x=1", "net: no setting x"),
    ],
)
def test_a_message_names_what_to_type(message: str, command: str, said: str) -> None:
    assert in_flags(message, command.split()) == said


@pytest.mark.parametrize(
    ("methods", "said"),
    [
        ("fbp:windw=hann", "unknown setting of fbp 'windw'; did you mean 'window'?"),
        ("smooth=fbp:windw=hann", "unknown setting of smooth 'windw'"),
        ("tv_min:strength=much", "strength of tv_min"),
        ("tv_min:iterations=0.5", "iterations of tv_min"),
    ],
)
def test_a_wrong_setting_of_a_method_is_named_as_it_was_typed(
    methods: str, said: str, tmp_path: Path, taskct_says: Says
) -> None:
    code, _, err = taskct_says("evaluate", "phantom:abdomen:0", "--methods", methods, "--out", tmp_path / "a")
    assert code == 2 and said in err and "methods." not in err, err


def test_a_setting_in_a_file_is_named_by_its_table(tmp_path: Path, taskct_says: Says) -> None:
    (tmp_path / "c.toml").write_text("schema = 1\ninputs = ['phantom:abdomen:0']\n[methods.fbp]\nwindw = 'hann'\n")
    code, _, err = taskct_says("evaluate", tmp_path / "c.toml", "--out", tmp_path / "a")
    assert code == 2 and "unknown setting in [methods.fbp] 'windw'" in err
