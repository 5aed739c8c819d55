"""`taskct.show`: a picture shows the numbers in the window asked for, and what cannot be drawn is refused in a sentence."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import taskct
from taskct.core.errors import ConfigError, GeometryError, InputError, OutputExistsError, UnitsError
from taskct.report import Shown


@pytest.fixture(scope="module")
def case() -> taskct.Case:
    return taskct.phantom_case("abdomen", shape=(10, 64, 64), spacing_mm=(5.0, 5.6, 5.6))


@pytest.fixture(scope="module")
def A(case: taskct.Case) -> taskct.Projector:  # noqa: N802
    fan = taskct.FanBeam(views=30, cols=110, pixel_mm=7, source_iso_mm=595, source_detector_mm=1085.6)
    return taskct.Projector(case.slice_grid, fan)


def panels(shown: Shown) -> list[Any]:
    """The matplotlib images of a picture, without the bar of numbers."""
    return [axis.images[0] for axis in shown.figure.axes if axis.images]


def test_a_named_window_shows_its_ends_black_and_white_and_values_in_per_mm_as_hu(case: taskct.Case) -> None:
    (image,) = panels(taskct.show(case.mu[:1], window="liver"))
    assert image.get_clim() == (-20, 140)
    hu = image.get_array()
    assert np.abs(hu - case.hu[0].clamp_min(-1000).numpy()).max() < 0.1


def test_a_tensor_with_gradient_a_numpy_array_and_half_precision_give_the_same_picture(case: taskct.Case) -> None:
    mu = case.mu[:1]
    pictures = [mu, mu.clone().requires_grad_(), mu.numpy(), mu[0, 0], mu.double().numpy()[0, 0]]
    drawn = [panels(taskct.show(x))[0] for x in pictures]
    assert all(np.array_equal(drawn[0].get_array(), other.get_array()) for other in drawn[1:])
    assert np.abs(drawn[0].get_array() - panels(taskct.show(mu.half()))[0].get_array()).max() < 2


def test_numbers_without_a_unit_are_shown_from_the_least_to_the_largest_or_in_a_window_of_their_own() -> None:
    values = np.linspace(0.0, 1.0, 12).reshape(3, 4)
    assert panels(taskct.show(values))[0].get_clim() == (0, 1)
    assert panels(taskct.show(values, window=(0.5, 0.2)))[0].get_clim() == (0.4, 0.6)
    with pytest.raises(InputError, match=r"window 'liver' is one of HU, and these values .* say units='hu' or units='mu'"):
        taskct.show(values, window="liver")
    assert panels(taskct.show(values, window="liver", units="hu"))[0].get_clim() == (-20, 140)


def test_a_volume_is_cut_in_three_planes_with_the_head_up_and_pixels_of_their_true_shape(case: taskct.Case) -> None:
    shown = taskct.show(case)
    axial, coronal, sagittal = panels(shown)
    assert np.allclose(axial.get_array(), case.hu[5].numpy())
    assert np.allclose(coronal.get_array(), case.hu[:, 32].flip(0).numpy())
    assert np.allclose(sagittal.get_array(), case.hu[:, :, 32].flip(0).numpy())
    assert coronal.axes.get_aspect() == pytest.approx(5.0 / 5.6)
    named = [text.get_text() for text in shown.figure.legends[0].get_texts()]
    assert {"liver", "spleen"} <= set(named)


def test_slices_choose_what_is_shown_and_numbers_beyond_the_last_are_refused(case: taskct.Case) -> None:
    shown = panels(taskct.show(case, slices=[2, -1]))
    assert [np.allclose(s.get_array(), case.hu[k].numpy()) for s, k in zip(shown, (2, 9), strict=True)] == [True, True]
    with pytest.raises(InputError, match="there are slices 0 to 9, got 10"):
        taskct.show(case, slices=10)


def test_several_images_share_one_scale_and_keep_their_names(case: taskct.Case) -> None:
    shown = taskct.show({"truth": case.mu[:1], "half": case.mu[:1] / 2}, window=(0, 2000))
    assert [image.axes.get_title(loc="left") for image in panels(shown)] == ["truth", "half"]
    assert {image.get_clim() for image in panels(shown)} == {(-1000, 1000)}
    with pytest.raises(UnitsError, match=r"in HU and in 1/mm; taskct.to_hu converts"):
        taskct.show({"hu": case.hu[0], "mu": case.mu[0, 0]})


def test_projections_are_drawn_as_sinograms_and_a_scan_knows_that_it_holds_them(
    case: taskct.Case, A: taskct.Projector
) -> None:
    p = A(case.mu[:1])
    drawn = panels(taskct.show(p, kind="sinogram"))[0]
    assert np.allclose(drawn.get_array(), p[0, 0].numpy()) and drawn.axes.get_xlabel() == "column"
    scan = taskct.Scan(p, A.beam, A.grid)
    assert np.allclose(panels(taskct.show(scan))[0].get_array(), p[0, 0].numpy())


def test_of_a_scan_of_a_volume_the_middle_row_and_three_views_are_drawn() -> None:
    p = torch.rand(1, 1, 8, 5, 7)
    row, *views = panels(taskct.show(p, kind="sinogram"))
    assert np.allclose(row.get_array(), p[0, 0, :, 2].numpy())
    assert [np.allclose(v.get_array(), p[0, 0, k].flip(0).numpy()) for v, k in zip(views, (0, 2, 4), strict=True)] == [
        True
    ] * 3


def test_curves_are_lines_with_names_over_what_they_are_along() -> None:
    shown = taskct.show({"a": np.arange(4.0), "b": [3, 2, 1, 0]}, along=[0, 2, 4, 6], axes=("x / mm", "HU"))
    (axis,) = shown.figure.axes
    assert [line.get_label() for line in axis.lines] == ["a", "b"]
    assert axis.lines[1].get_xdata().tolist() == [0, 2, 4, 6] and axis.lines[1].get_ydata().tolist() == [3, 2, 1, 0]
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("x / mm", "HU")


def test_a_table_is_numbers_with_intervals_and_curves_over_dose(case: taskct.Case, A: taskct.Projector) -> None:
    doses = [taskct.Dose(1e5), taskct.Dose(1e5, fraction=0.25)]
    table = taskct.evaluate({"fbp": taskct.fbp, "hann": hann}, [case], A, doses, slices=range(1), progress=False)
    html = taskct.show(table)._repr_html_()
    assert "RMSE" in html and "hann" in html and html.count("<table") == 3
    assert f"{table.mean('rmse_hu', 'hann', dose=0.25).mean:.1f}" in html
    assert "n=1" in table._repr_html_() and repr(table).startswith(f"Table({len(table.rows)} rows: fbp, hann at 1, 0.25")


def hann(p: torch.Tensor, A: taskct.Projector) -> torch.Tensor:
    return taskct.fbp(p, A, window="hann")


def test_a_projector_and_a_beam_are_drawn_to_scale(A: taskct.Projector) -> None:
    assert "grid 64 × 64" in taskct.show(A).words
    assert "Fan beam" in taskct.show(A.beam).words


def test_a_training_is_drawn_as_its_losses_and_a_run_without_steps_is_refused(tmp_path: Path) -> None:
    run = taskct.Run.create(tmp_path / "run", {"model": {"kind": "itnet"}})
    with pytest.raises(InputError, match="holds no steps of a training"):
        taskct.show(run)
    for step in (1, 2):
        run.append(kind="train", step=step, total=1.0 / step)
    (axis,) = taskct.show(run).figure.axes
    assert axis.lines[0].get_ydata().tolist() == [1.0, 0.5]
    assert "2 lines" in run._repr_html_()


def test_a_set_of_images_shows_its_first_images_under_their_ids() -> None:
    images = taskct.ImageSet(torch.full((20, 1, 8, 8), 0.02), [f"p{i}" for i in range(20)])
    drawn = panels(taskct.show(images))
    assert len(drawn) == 12 and drawn[3].axes.get_title(loc="left") == "image-3"
    assert repr(images) == "ImageSet(20 images of 8 x 8, 20 patients)"


REFUSED = {
    "objects": (lambda: np.array([None, "a"]), InputError, "expects numbers, got an array of dtype object"),
    "text": (lambda: np.array(["a"]), InputError, "expects numbers"),
    "complex": (
        lambda: torch.zeros(4, 4, dtype=torch.complex64),
        InputError,
        r"real numbers, got torch.complex64; take .abs\(\)",
    ),
    "empty": (lambda: np.zeros((0, 64)), InputError, r"at least one value, got an empty array of shape \(0, 64\)"),
    "one number": (lambda: np.float64(3), InputError, "got a float64|single number"),
    "nan": (lambda: np.array([[1.0, np.nan], [2.0, np.inf]]), UnitsError, "finite values, got 2 NaN or infinite ones of 4"),
    "four axes": (lambda: np.zeros((4, 3, 8, 8)), GeometryError, r"cannot tell what of shape \(4, 3, 8, 8\) is; .*x\[0\]"),
    "five axes": (lambda: torch.zeros(2, 1, 4, 8, 8), GeometryError, r"cannot tell what of shape \(2, 1, 4, 8, 8\) is"),
    "sparse": (lambda: torch.eye(4).to_sparse(), GeometryError, r"dense tensor, got torch.sparse_coo; call .to_dense\(\)"),
    "a dose": (lambda: taskct.Dose(1e5), InputError, "show draws images, .*; got a Dose"),
    "nothing": (lambda: None, InputError, "got a NoneType"),
    "an empty dict": (lambda: {}, InputError, "got an empty dict"),
    "a dict of texts": (lambda: {"a": "b"}, InputError, "arrays, tensors or cases in a dict, got a str"),
    "two kinds": (lambda: {"a": np.zeros(3), "b": np.zeros((3, 3))}, GeometryError, "one kind side by side, got curve, image"),
    "thirteen": (lambda: [np.zeros((3, 3))] * 13, InputError, "at most 12 images at once, got 13"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_drawn_is_refused_in_one_sentence(name: str) -> None:
    make, error, words = REFUSED[name]
    with pytest.raises(error, match=words) as raised:
        taskct.show(make())
    assert "\n" not in str(raised.value)


def test_an_array_with_four_axes_is_drawn_once_it_is_said_which(case: taskct.Case) -> None:
    assert len(panels(taskct.show(case.mu[:3]))) == 3
    assert "volume of 10 x 64 x 64" in taskct.show(case.mu, kind="volume").words
    assert len(panels(taskct.show(np.zeros((5, 8, 8)), kind="image"))) == 5
    with pytest.raises(ConfigError, match="unknown kind 'sinograms'; did you mean 'sinogram'"):
        taskct.show(case.mu, kind="sinograms")  # type: ignore[arg-type]


def test_labels_on_other_samples_are_refused_and_spacing_that_is_none_is_too(case: taskct.Case) -> None:
    with pytest.raises(GeometryError, match=r"labels on the samples of the image, \(1, 64, 64\), got \(1, 32, 32\)"):
        taskct.show(case.mu[:1], labels=torch.zeros(32, 32, dtype=torch.uint8))
    with pytest.raises(GeometryError, match="spacing_mm as a positive number"):
        taskct.show(case.mu[:1], spacing_mm=(1.0, -1.0))


def test_save_writes_the_picture_whole_never_over_another_file_and_in_four_formats(tmp_path: Path) -> None:
    shown = taskct.show(np.eye(16))
    assert shown.save(tmp_path / "x.png") == tmp_path / "x.png"
    assert Image.open(tmp_path / "x.png").size[0] > 300
    with pytest.raises(OutputExistsError):
        shown.save(tmp_path / "x.png")
    shown.save(tmp_path / "x.png", overwrite=True)
    for ending, start in {"svg": b"<?xml", "pdf": b"%PDF", "html": b"<!doctype html>"}.items():
        assert shown.save(tmp_path / f"x.{ending}").read_bytes().startswith(start)
    with pytest.raises(ConfigError, match=r"unknown figure format 'tif'; .*one of png, svg, pdf, html"):
        shown.save(tmp_path / "x.tif")
    assert {p.suffix for p in tmp_path.iterdir()} == {".png", ".svg", ".pdf", ".html"}


def test_a_notebook_gets_a_png_with_words_for_those_who_do_not_see_it() -> None:
    html = taskct.show(np.eye(16), title="<eye>")._repr_html_()
    assert 'alt="&lt;eye&gt;: image of 16 x 16, 0 black, 1 white"' in html
    import base64

    png = base64.b64decode(html.split("base64,")[1].split('"')[0])
    assert Image.open(io.BytesIO(png)).format == "PNG"
    assert (
        repr(taskct.show(np.eye(16)))
        == "<image of 16 x 16, 0 black, 1 white; a notebook displays it, .save('x.png') writes it>"
    )


def test_curves_of_different_lengths_have_positions_of_their_own_and_wrong_lengths_are_named() -> None:
    shown = taskct.show({"a": [1, 2], "b": [1, 2, 3]}, along={"a": [0, 10], "b": [0, 5, 10]})
    assert [line.get_xdata().tolist() for line in shown.figure.axes[0].lines] == [[0, 10], [0, 5, 10]]
    with pytest.raises(GeometryError, match=r"along of the length of the curve 'b', 3, got shape \(2,\)"):
        taskct.show({"a": [1, 2], "b": [1, 2, 3]}, along=[0, 10])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"labels": np.full((8, 9), 0.5)}, "whole numbers"),
        ({"labels": np.full((8, 9), np.nan)}, "whole numbers"),
        ({"labels": np.ones((8, 9)), "kind": "sinogram"}, "labels on images"),
        ({"window": (1, 2, 3)}, "two numbers"),
        ({"window": 5}, "two numbers"),
        ({"window": ("a", "b")}, "two numbers"),
        ({"slices": 1.5}, "got 1.5"),
        ({"mu_water_per_mm": 0.0}, "positive"),
        ({"mu_water_per_mm": float("nan")}, "positive"),
    ],
)
def test_arguments_that_mean_nothing_are_refused_in_a_sentence(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        taskct.show(np.arange(72.0).reshape(8, 9), **arguments)


def test_numbers_of_any_library_are_spacings_and_words_are_not() -> None:
    image = np.arange(72.0).reshape(8, 9)
    for steps in (np.float32(0.5), torch.tensor(0.5), np.array([2.0, 1.0])):
        taskct.show(image, spacing_mm=steps)
    with pytest.raises(GeometryError, match="spacing_mm"):
        taskct.show(image, spacing_mm="a")  # type: ignore[arg-type]


def test_values_below_a_mask_and_tensors_without_numbers_are_refused() -> None:
    image = np.arange(72.0).reshape(8, 9)
    with pytest.raises(InputError, match="masked"):
        taskct.show(np.ma.masked_greater(image, 50))
    with pytest.raises(InputError, match="meta"):
        taskct.show(torch.zeros(8, 9, device="meta"))


def test_the_imaginary_part_of_a_conjugate_is_drawn_with_its_sign() -> None:
    whole = torch.complex(torch.zeros(8, 9), torch.arange(72.0).reshape(8, 9))
    (image,) = panels(taskct.show(whole.conj().imag))
    assert np.array_equal(image.get_array(), -whole.imag.numpy())


def test_labels_of_one_row_of_pixels_are_drawn_without_an_outline() -> None:
    assert "1 x 9" in taskct.show(np.arange(9.0)[None], labels=np.ones((1, 9), int)).words


def test_the_words_name_every_size_and_a_curve_that_does_not_exist_is_refused() -> None:
    assert "8 x 9 and 4 x 5" in taskct.show({"a": np.ones((8, 9)), "b": np.ones((4, 5))}).words
    assert "5 and 7 points" in taskct.show({"a": np.arange(5.0), "b": np.arange(7.0)}).words
    assert "window window" not in taskct.show(np.full((4, 4), -900.0), window=(40, 400)).words
    with pytest.raises(InputError, match="loss"):
        taskct.show({"loss": np.arange(5.0)}, along={"los": np.arange(5.0)})


def test_a_window_in_per_mm_is_refused_where_images_in_per_mm_are_drawn_in_hu(case: taskct.Case) -> None:
    with pytest.raises(InputError, match=r"window \(0.02, 0.01\) is narrower than 1 HU and looks like 1/mm; .* units='other'"):
        taskct.show(case.mu[:1], window=(0.02, 0.01))
    (image,) = panels(taskct.show(case.mu[:1], window=(0.02, 0.01), units="other"))
    assert image.get_clim() == pytest.approx((0.015, 0.025))


@pytest.mark.parametrize("dpi", [0, -1, float("nan"), True, "a", 1e9])
def test_dpi_that_no_picture_has_are_refused_before_anything_is_written(dpi: object, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"save expects dpi >= 1 and <= 1200, got"):
        taskct.show(np.eye(4)).save(tmp_path / "x.png", dpi=dpi)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("wrong", "words"),
    [({"title": 3}, "title as text"), ({"axes": ("a",)}, "axes as the names"), ({"axes": "ab"}, "axes as the names"),
     ({"axes": (1, 2)}, "axes as the names"), ({"mu_water_per_mm": "a"}, "as a positive number of 1/mm, got 'a'")],
)  # fmt: skip
def test_words_that_are_no_text_and_numbers_that_are_none_are_refused(wrong: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        taskct.show([1.0, 2.0], **wrong)  # type: ignore[arg-type]
