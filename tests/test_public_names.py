"""What `import taskct` offers: names that load when they are used, and types that editors and `mypy --strict` can read."""

from __future__ import annotations

import ast
import os
import pydoc
import re
import rlcompleter
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from places import ROOT

import taskct
from taskct.physics.filters import WINDOWS

SOURCE = ROOT / "src/taskct"


def test_every_public_name_can_be_imported_and_every_importable_name_is_public():
    for name in taskct.__all__:
        assert getattr(taskct, name) is not None
    assert sorted({*taskct.__all__, *taskct._SUBMODULES}) == dir(taskct)
    loose = {n for n in vars(taskct) if not n.startswith("_")} - set(taskct.__all__)
    submodules = {p.stem for p in SOURCE.iterdir()}
    assert loose - submodules <= {"annotations", "importlib", "Any", "TYPE_CHECKING"}


def test_the_typed_names_are_the_lazy_names_from_the_same_places():
    typed: dict[str, str] = {}
    for block in ast.parse((SOURCE / "__init__.py").read_text()).body:
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING":
            for line in block.body:
                assert isinstance(line, ast.ImportFrom)
                assert [a.name for a in line.names] == [a.asname for a in line.names]  # `x as x`: re-exported
                typed |= {a.name: line.module or "" for a in line.names}
    assert typed == taskct._HOMES | dict.fromkeys(taskct._SUBMODULES, "taskct")


def test_each_public_name_is_defined_where_it_says_or_exported_from_there():
    for name, home in taskct._HOMES.items():
        assert name in getattr(sys.modules[home], "__all__", [name]), f"{home} does not export {name}"


def test_every_folder_of_the_package_but_the_command_line_is_reachable_after_importing_the_package():
    folders = {p.parent.name for p in SOURCE.glob("*/__init__.py")} - {"cli"}
    assert set(taskct._SUBMODULES) == folders
    code = "import taskct\nfor name in taskct._SUBMODULES: assert getattr(taskct, name).__name__ == 'taskct.' + name"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_public_names_have_docstrings_with_shapes_or_units():
    for name in set(taskct.__all__) - {"__version__"}:
        assert len((getattr(taskct, name).__doc__ or "").split()) > 8, f"{name} needs a docstring"


def test_a_misspelt_public_name_gets_a_suggestion_and_the_list_of_names():
    with pytest.raises(AttributeError, match=r"no attribute 'Projecter'; did you mean 'Projector'; public names: .*Grid"):
        _ = taskct.Projecter
    with pytest.raises(AttributeError, match="no attribute 'zzz'; public names"):
        _ = taskct.zzz


def test_tab_completion_finds_functions_and_folders():
    found = rlcompleter.Completer({"taskct": taskct}).attr_matches("taskct.t")
    assert {"taskct.train(", "taskct.tv_min(", "taskct.testing", "taskct.training", "taskct.task"} <= set(found)


def test_importing_the_package_loads_neither_torch_nor_any_heavy_library():
    code = "import sys, taskct; print([m for m in ('torch', 'numpy', 'matplotlib', 'pydicom', 'scipy') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_the_projector_loads_without_readers_plots_or_the_command_line():
    code = (
        "import sys, taskct; taskct.Projector, taskct.Grid, taskct.Dose;"
        "print([m for m in ('matplotlib', 'pydicom', 'nibabel', 'h5py', 'typer', 'rich', 'skimage') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


@pytest.mark.parametrize("name", ["fbp", "fdk"])
def test_the_help_of_filtered_back_projection_names_every_legal_window(name):
    text = pydoc.plain(pydoc.render_doc(getattr(taskct, name)))
    for window in WINDOWS:
        assert f'"{window}"' in text


ACCEPTED = '''
"""A page of a user's typed code."""

from functools import partial

from torch import Tensor

import taskct

case = taskct.open_case("series/", labels="liver.nii.gz")
beam = taskct.FanBeam(views=1000, cols=736, pixel_mm=1.2858, source_iso_mm=595, source_detector_mm=1085.6)
A = taskct.Projector(case.slice_grid, beam)
dose = taskct.Dose(photons=1e5, fraction=0.1, electronic_std=10)


def mine(p: Tensor, A: taskct.Projector, *, iterations: int = 3) -> Tensor:
    return taskct.sirt(p, A, iterations=iterations)


p = taskct.simulate_scan(case.mu, A, dose, seed=0)
mu: Tensor = taskct.fbp(p, A, window="hann", frequency_scale=0.8)
table = taskct.evaluate(
    {"fbp": taskct.fbp, "tv": partial(taskct.tv_min, strength=0.5), "mine": mine}, [case], A, dose, slices=range(3)
)
taskct.write_report(table, "report.html")
net = taskct.nets.UNet(1, 1)
taskct.testing.check_reconstructor(mine).raise_if_failed()
picture = taskct.show({"low dose": mu, "full dose": case.mu.numpy()}, window="liver", title="a liver")
picture.save("liver.png", overwrite=True)
taskct.show(p, kind="sinogram", window=(2.0, 4.0))
taskct.show(case, slices=[3, 5], labels=case.labels)
taskct.show(table)
'''

# One line of user code -> what mypy answers.
REFUSED = {
    "taskct.nonsense": r'no attribute "nonsense"',
    "taskct.nets.Nonsense": r'no attribute "Nonsense"',
    'taskct.Dose(photons="a lot")': r'"photons" to "Dose" has incompatible type "str"; expected "float"',
    "taskct.Dose(1e5, dose=0.1)": r'Unexpected keyword argument "dose"',
    'taskct.fbp(p, A, window="han")': r'"window" to "fbp" has incompatible type "Literal\[\'han\'\]"',
    'taskct.fbp(p, A, "hann")': r'Too many positional arguments for "fbp"',
    "taskct.ParallelBeam(180, 64, 1.0)": r'Too many positional arguments for "ParallelBeam"',
    "taskct.fbp(A, p)": r'Argument 1 to "fbp" has incompatible type "Projector"; expected "Tensor"',
    "x: int = taskct.fbp(p, A)": r'expression has type "Tensor", variable has type "int"',
    'taskct.show(p, kind="sinograms")': r'"kind" to "show" has incompatible type "Literal\[\'sinograms\'\]"',
    'taskct.show("ct.nii")': r'Argument 1 to "show" has incompatible type "str"',
    'taskct.open_case(5, label="liver.nii")': r'Unexpected keyword argument "label"',
}


@pytest.fixture(scope="module")
def mypy_answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[tuple[int, str]]]:
    """What `mypy` says, as strict as `mypy --strict`, by page: (line, message). It shares the cache of `make check`."""
    folder = tmp_path_factory.mktemp("mypy")
    package = folder / "user_page"  # the name that pyproject.toml knows
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "accepted.py").write_text(ACCEPTED)
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)
    (package / "readme.py").write_text(example)
    start = "import taskct\nfrom torch import Tensor\n\ndef use(p: Tensor, A: taskct.Projector) -> None:\n"
    (package / "refused.py").write_text(start + textwrap.indent("\n".join(REFUSED), "    ") + "\n")
    (package / "revealed.py").write_text("import taskct\nreveal_type(taskct.fbp)\nreveal_type(taskct.train_dose)\n")
    command = [sys.executable, "-m", "mypy", "--no-error-summary", "--no-color-output", "-p", "user_page"]
    environment = os.environ | {"MYPYPATH": f"{folder}{os.pathsep}{ROOT / 'src'}"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    answers: dict[str, list[tuple[int, str]]] = {"accepted": [], "readme": [], "refused": [], "revealed": []}
    for line in done.stdout.splitlines():
        found = re.match(r"(.+?):(\d+): (?:error|note): (.*)", line)
        assert found, line
        answers[Path(found[1]).stem].append((int(found[2]), found[3]))
    assert done.returncode == 1, done.stderr
    return answers


def test_mypy_strict_accepts_the_example_of_the_readme(mypy_answers):
    assert mypy_answers["readme"] == []


def test_mypy_strict_accepts_a_page_of_user_code_with_a_reconstructor_of_its_own(mypy_answers):
    assert mypy_answers["accepted"] == []


@pytest.mark.parametrize("code", REFUSED)
def test_mypy_strict_refuses_a_wrong_line_of_user_code(mypy_answers, code):
    line = 5 + list(REFUSED).index(code)
    said = [message for number, message in mypy_answers["refused"] if number == line]
    assert any(re.search(REFUSED[code], message) for message in said), said


def test_mypy_shows_the_signature_of_a_public_function_with_its_legal_windows(mypy_answers):
    (_, fbp), (_, train_dose) = mypy_answers["revealed"]
    assert all(f"'{window}'" in fbp for window in WINDOWS)
    assert "Projector" in fbp and "Tensor" in fbp
    assert "TrainedDose" in train_dose
