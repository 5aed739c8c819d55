"""Trained networks by name, folder or file: what is opened, and what is refused or warned of."""

from __future__ import annotations

import shutil
import warnings
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from taskct.core.errors import ConfigError, FileFormatError, GeometryError, InputError, UnitsError, UnsupportedDataError
from taskct.core.runs import Run, load_run
from taskct.core.safetensors_files import pack_tensors, read_safetensors
from taskct.core.units import MU_WATER_70KEV_PER_MM
from taskct.geometry import Grid, ParallelBeam
from taskct.geometry.beam_config import beam_to_config
from taskct.models import Card, Figure, NoCardWarning, TrainingData, open_model, pack_model
from taskct.models.model_card import read_card
from taskct.models.model_folder import is_model
from taskct.models.model_words import describe_model, list_models
from taskct.models.package_models import shipped_models
from taskct.physics.projector import Projector
from taskct.recon.learned import load_reconstructor, make_model
from taskct.task.readers import ReaderSpec, load_reader, make_reader

GRID, BEAM = Grid((16, 16), 8.0), ParallelBeam(views=12, cols=24, pixel_mm=8.0)
MODEL = {"kind": "fbp_unet", "widths": [4, 8], "norm": "batch"}
CARD = Card(
    kind="reconstruction",
    title="a small network",
    purpose="for tests",
    licence="MIT",
    photons=(1e4, 5e4),
    training_data=(TrainingData(name="phantoms", licence="none needed", patients=3, images=6),),
    figures=(Figure(what="Dice", mean=0.5, low=0.4, high=0.6, photons=1e4, of="unseen readers", patients=3, images=6),),
    limits=("nothing else",),
)


def run_of(folder: Path, **tables: object) -> Run:
    config = {"beam": beam_to_config(BEAM), "grid": {"shape": [16, 16], "spacing_mm": [8.0, 8.0]}, "training": {"steps": 3}}
    run = Run.create(folder, config | ({"model": MODEL} if not tables else {}) | tables)
    torch.manual_seed(0)
    net = make_reader(ReaderSpec(net="unet_thin")) if "reader" in tables else make_model(MODEL)
    run.save_tensors("weights.safetensors", net.state_dict())
    return run


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return run_of(tmp_path / "runs" / "net")


def image(model: torch.nn.Module) -> torch.Tensor:
    torch.manual_seed(1)
    with torch.no_grad():
        return model(torch.rand(2, 1, *BEAM_SHAPE), Projector(GRID, BEAM))


BEAM_SHAPE = (12, 24)


def test_a_run_a_folder_with_a_card_and_one_file_give_the_same_network(run: Run, tmp_path: Path) -> None:
    wanted = image(load_reconstructor(run.folder))
    folder = pack_model(run, tmp_path / "packed", card=CARD)
    one_file = pack_model(run.folder, tmp_path / "net.safetensors", card=CARD)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for source in (run, str(run.folder), folder, folder / "weights.safetensors", one_file):
            assert torch.equal(image(load_reconstructor(source)), wanted)
    assert open_model(one_file).card == CARD
    opened = open_model(folder)
    assert opened.name == "packed" and opened.card is not None and opened.card.figures == CARD.figures
    assert opened.config == load_run(run.folder).config


def test_half_precision_halves_the_file_and_hardly_moves_the_image(run: Run, tmp_path: Path) -> None:
    whole = pack_model(run, tmp_path / "whole", card=CARD)
    half = pack_model(run, tmp_path / "half", card=CARD, half=True)
    sizes = [(folder / "weights.safetensors").stat().st_size for folder in (whole, half)]
    assert sizes[1] < 0.75 * sizes[0]
    model = load_reconstructor(half)
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert torch.allclose(image(model), image(load_reconstructor(whole)), atol=1e-3 * 0.02)


def test_half_precision_is_refused_for_weights_beyond_it(run: Run, tmp_path: Path) -> None:
    tensors = {name: t * 1e6 if name.endswith("out.weight") else t for name, t in make_model(MODEL).state_dict().items()}
    tensors = {name: t + 1e6 if name.endswith("out.weight") else t for name, t in tensors.items()}
    run.save_tensors("weights.safetensors", tensors, overwrite=True)
    with pytest.raises(InputError, match="half precision cannot hold"):
        pack_model(run, tmp_path / "half", card=CARD, half=True)
    assert not (tmp_path / "half").exists()


def test_a_reader_goes_the_same_ways_and_is_not_taken_for_a_reconstruction(tmp_path: Path, run: Run) -> None:
    reader = run_of(tmp_path / "reader", reader={"net": "unet_thin"})
    packed = pack_model(reader, tmp_path / "thin.safetensors", card=replace(CARD, kind="reader"))
    mu = torch.rand(1, 1, 16, 16) * 0.04
    assert torch.equal(load_reader(packed).predict(mu), load_reader(reader).predict(mu))
    assert load_reader(packed).name == "thin" and load_reader(reader.folder).name == "reader"
    with pytest.raises(InputError, match="reads images and does not reconstruct"):
        load_reconstructor(reader)
    with pytest.raises(InputError, match="not a reader run"):
        load_reader(run)
    with pytest.raises(InputError, match="card is one for reader"):
        pack_model(run, tmp_path / "wrong", card=replace(CARD, kind="reader"))


def test_what_has_no_card_and_no_record_of_its_training_is_taken_with_a_warning(run: Run, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in ("config.toml", "weights.safetensors"):
        shutil.copy(run.folder / name, bare / name)
    with pytest.warns(NoCardWarning, match="neither a card"):
        load_reconstructor(bare)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_reconstructor(run.folder)


def test_what_is_not_a_finished_network_is_refused_with_the_reason(run: Run, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="unknown network 'nowhere'"):
        open_model("nowhere")
    with pytest.raises(InputError, match="no such file"):
        open_model(tmp_path / "missing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"no config\.toml"):
        open_model(tmp_path / "empty")
    young = Run.create(tmp_path / "young", {"model": MODEL})
    with pytest.raises(InputError, match="holds no weights yet"):
        load_reconstructor(young)
    assert "training has not ended" in describe_model(open_model(young))
    experiment = Run.create(tmp_path / "experiment", {"experiment": {"name": "task-adaptive"}})
    with pytest.raises(InputError, match="an experiment without a finished training"):
        open_model(experiment)
    shutil.copytree(run.folder, tmp_path / "experiment" / "unet-plain")
    with pytest.raises(InputError, match=r"a folder of 1: name one of them, .*unet-plain"):
        open_model(experiment.folder)
    evaluation = Run.create(tmp_path / "table", {"inputs": ["a.nii"]})
    with pytest.raises(InputError, match="not a trained network"):
        open_model(evaluation)


def test_files_of_another_kind_are_refused(run: Run, tmp_path: Path) -> None:
    torch.save(make_model(MODEL).state_dict(), tmp_path / "net.pt")
    with pytest.raises(UnsupportedDataError, match=r"\.safetensors"):
        open_model(tmp_path / "net.pt")
    alone = tmp_path / "alone.safetensors"
    alone.write_bytes(pack_tensors(make_model(MODEL).state_dict()))
    with pytest.raises(InputError, match="not what network they belong to"):
        open_model(alone)
    with pytest.warns(NoCardWarning, match="neither a card"):
        assert isinstance(load_reconstructor(alone, model=make_model(MODEL)), torch.nn.Module)
    (tmp_path / "torn.safetensors").write_bytes(alone.read_bytes()[:50])
    with pytest.raises(FileFormatError, match="torn"):
        open_model(tmp_path / "torn.safetensors")


def test_weights_or_config_that_the_card_does_not_describe_are_refused(run: Run, tmp_path: Path) -> None:
    folder = pack_model(run, tmp_path / "packed", card=CARD)
    other = {name: t + 1 if t.is_floating_point() else t for name, t in make_model(MODEL).state_dict().items()}
    kept = (folder / "weights.safetensors").read_bytes()
    (folder / "weights.safetensors").write_bytes(pack_tensors(other))
    with pytest.raises(FileFormatError, match="not the weights that the card describes"):
        load_reconstructor(folder)
    (folder / "weights.safetensors").write_bytes(kept)
    config = (folder / "config.toml").read_text()
    (folder / "config.toml").write_text(config.replace("views = 12", "views = 24"))
    with pytest.raises(FileFormatError, match="not the config that the card describes"):
        load_reconstructor(folder)


def test_nan_weights_other_units_and_another_geometry_are_refused(run: Run, tmp_path: Path) -> None:
    tensors = {
        name: t * float("nan") if name.endswith("out.weight") else t
        for name, t in run.load_tensors("weights.safetensors")[0].items()
    }
    run.save_tensors("weights.safetensors", tensors, overwrite=True)
    with pytest.raises(FileFormatError, match="NaN or infinite"):
        load_reconstructor(pack_model(run, tmp_path / "nan", card=CARD))
    good = pack_model(run_of(tmp_path / "good"), tmp_path / "packed", card=CARD)
    with pytest.raises(GeometryError, match="views 12 in training, now 20"):
        A = Projector(GRID, replace(BEAM, views=20))
        load_reconstructor(good)(torch.rand(1, 1, *A.p_shape), A)
    card = (good / "card.toml").read_text()
    (good / "card.toml").write_text(card.replace('image_units = "1/mm"', 'image_units = "HU"'))
    with pytest.raises(UnitsError, match="its images are in 'HU'"):
        load_reconstructor(good)
    (good / "card.toml").write_text(card.replace("purpose", "purposes"))
    with pytest.raises(ConfigError, match="did you mean 'purpose'"):
        load_reconstructor(good)
    (good / "card.toml").write_text(card.replace('kind = "reconstruction"', 'kind = "reader"'))
    with pytest.raises(FileFormatError, match="the card is that of a network for reader"):
        load_reconstructor(good)


def test_a_word_that_is_a_name_and_a_path_is_refused(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = pack_model(run, tmp_path / "shipped" / "net-a", card=CARD)
    monkeypatch.setattr("taskct.models.package_models.SHIPPED", shipped.parent)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert open_model("net-a").name == "net-a" and is_model("net-a") and not is_model("fbp")
    assert "net-a  reconstruction  a small network" in list_models()
    with pytest.raises(InputError, match="did you mean 'net-a'"):
        open_model("net-b")
    shutil.copytree(run.folder, "net-a")
    with pytest.raises(InputError, match=r"write \./net-a for the path"):
        open_model("net-a")
    assert open_model("./net-a").card is None


def test_a_card_comes_back_from_its_file_and_is_told_in_words(run: Run, tmp_path: Path) -> None:
    folder = pack_model(run, tmp_path / "packed", card=CARD)
    card = read_card(folder / "card.toml")
    assert card == replace(CARD, config_sha256=card.config_sha256, weights_sha256=card.weights_sha256)
    words = describe_model(open_model(folder))
    for said in (
        "a small network",
        "10,000 to 50,000 photons",
        "unseen readers; 6 images of 3 patients\n",
        "0.500 [0.400, 0.600]\n",
        "licence: none needed",
    ):
        assert said in words
    assert "card         none" in describe_model(open_model(run)) and "commit" in describe_model(open_model(run))


def test_weights_beside_a_config_that_was_changed_are_refused_by_folder_and_by_file(run: Run, tmp_path: Path) -> None:
    folder = pack_model(run, tmp_path / "packed", card=CARD)
    config = folder / "config.toml"
    config.write_text(config.read_text().replace("views = 12", "views = 13"))
    for source in (folder, folder / "weights.safetensors"):
        with pytest.raises(FileFormatError, match=r"config\.toml: not the config that the card describes"):
            open_model(source)


def test_a_name_longer_than_any_file_has_is_unknown() -> None:
    for name in ("a" * 300, "a\0b"):
        assert not is_model(name)
        with pytest.raises(InputError, match="unknown network"):
            open_model(name)


def test_a_damaged_record_of_a_training_is_named_and_counts_that_are_none_are_left_out(run: Run, tmp_path: Path) -> None:
    assert "learnt from" not in describe_model(open_model(run_of(tmp_path / "many", model=MODEL, data={"images": "many"})))
    for k, table in enumerate(({"data": 3}, {"dose": [1, 2]})):
        with pytest.raises(ConfigError, match=f"net-{k}: its config has"):
            describe_model(open_model(run_of(tmp_path / f"net-{k}", model=MODEL, **table)))


def test_one_file_of_weights_is_described_by_its_own_config(run: Run, tmp_path: Path) -> None:
    """Without a card, alone, and beside the config of another network."""
    packed = pack_model(run, tmp_path / "alone" / "net.safetensors", card=CARD)
    tensors, header = read_safetensors(packed)
    packed.write_bytes(pack_tensors(tensors, metadata={"taskct_config": header["taskct_config"]}))
    with pytest.warns(NoCardWarning):
        assert "fbp_unet" in describe_model(open_model(packed))
    shutil.copy(packed, run.folder / "other.safetensors")
    (run.folder / "config.toml").write_text("schema = 1\n[model]\nkind = 'itnet'\n[data]\nimages = 7\n")
    with pytest.warns(NoCardWarning):
        words = describe_model(open_model(run.folder / "other.safetensors"))
    assert "fbp_unet" in words and "7 images" not in words and "commit" not in words


def test_every_reconstruction_and_dose_of_the_package_states_the_units_of_its_images() -> None:
    for name, folder in shipped_models().items():
        model = open_model(folder)
        if model.kind in ("reconstruction", "dose"):
            assert model.config["units"] == {"image": "1/mm", "mu_water_per_mm": MU_WATER_70KEV_PER_MM}, name


def test_a_network_is_never_packed_over_its_own_run_or_over_other_files(run: Run, tmp_path: Path) -> None:
    before = sorted(file.name for file in run.folder.iterdir())
    for out in (run.folder, run.path("weights.safetensors")):
        with pytest.raises(InputError, match=r"is the input|holds the input"):
            pack_model(run, out, card=CARD, half=True, overwrite=True)
    other = run_of(tmp_path / "other")
    with pytest.raises(InputError, match=r"holds .*, which is not written there"):
        pack_model(run, other.folder, card=CARD, overwrite=True)
    assert sorted(file.name for file in run.folder.iterdir()) == before
    for _ in range(2):
        pack_model(run, tmp_path / "packed", card=CARD, overwrite=True)
