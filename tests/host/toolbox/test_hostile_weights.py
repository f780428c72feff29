"""Code in a file of weights never runs, whichever option, cache or command the file comes through.

What takes a path is found in the catalogue, so that a new plugin is tested without being named here.
"""

from __future__ import annotations

import json
import os
import pickle
import typing
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import BaseModel
from restorebench_airnet.train.config import AirNetTraining
from restorebench_daclip.train import __main__ as daclip_train
from restorebench_diffbir import convert
from restorebench_textualdegrem.train import __main__ as textual_train

from restorebench import Batch, RestorebenchError, Runtime
from restorebench.contract.cards import resolve
from restorebench.contract.catalog import discover
from restorebench.contract.tasks import TEN
from restorebench.toolbox.options import options_model, validated
from restorebench.training import packing
from restorebench.training.config import Data, Training
from restorebench.training.keeping import Kept

FILES = ("pytorch_model.bin", "diffusion_pytorch_model.bin", "model.ckpt", "a.pth", "a.npz", "checkpoint.pt")
"""What libraries look for in a folder where they find no .safetensors."""
PARTS = ("", "unet", "vae", "text_encoder", "tokenizer", "scheduler")
CONFIG = '{"model_type": "clip", "architectures": ["CLIPModel"], "auto_map": {"AutoModel": "evil.Evil"}}'


class Planted:
    """A pickle that leaves a mark where it is run: as a file that torch made, as a bare one, and in a folder."""

    def __init__(self, folder: Path) -> None:
        self.mark = folder / "mark"
        self.zipped, self.bare, self.folder = folder / "zipped.pth", folder / "bare.ckpt", folder / "folder"
        torch.save({"state_dict": self}, self.zipped)
        self.content = pickle.dumps({"state_dict": self})
        self.bare.write_bytes(self.content)
        for part in PARTS:
            inside = self.folder / part
            inside.mkdir(exist_ok=True)
            (inside / "config.json").write_text(CONFIG)
            (inside / "evil.py").write_text(f"open({str(self.mark)!r}, 'w').close()")
            for name in FILES:
                (inside / name).write_bytes(self.zipped.read_bytes() if name != "a.npz" else self.content)

    def __reduce__(self):
        return (os.mkdir, (str(self.mark),))

    @property
    def places(self) -> tuple[Path, ...]:
        return self.zipped, self.bare, self.folder


@pytest.fixture
def planted(tmp_path, monkeypatch):
    """Plant files, hide every cache of this machine, and hold the mark at the end."""
    for name in ("HOME", "TORCH_HOME", "HF_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "caches"))
    (tmp_path / "planted").mkdir()
    found = Planted(tmp_path / "planted")
    yield found
    assert not found.mark.exists(), "the pickle was run"


CATALOG = discover()
LOADABLE = [entry.card for kind in ("restorer", "detector") for entry in CATALOG.of(kind)]


def paths_in(model: type[BaseModel] | None, above: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """List the options, by their keys, that may be a path, in nested models too."""
    found = []
    for name, field in ({} if model is None else model.model_fields).items():
        kinds = _kinds(field.annotation)
        if Path in kinds:
            found.append((*above, name))
        for kind in kinds:
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                found += paths_in(kind, (*above, name))
    return found


def _kinds(annotation: object) -> list[object]:
    parts = typing.get_args(annotation)
    return [annotation] if not parts else [kind for part in parts for kind in _kinds(part)]


LOADERS = [(card, keys) for card in LOADABLE for keys in paths_in(options_model(card))]


def runtime(cache: Path) -> Runtime:
    return Runtime("cpu", 1, cache, {}, True, TEN, CATALOG.find)


def with_value(
    raw: typing.Mapping[str, typing.Any], keys: tuple[str, ...], value: object
) -> dict[str, typing.Any]:
    """Return raw options with a value at some keys."""
    first, *rest = keys
    inner = raw.get(first)
    below = with_value(inner if isinstance(inner, dict) else {}, tuple(rest), value) if rest else value
    return {**raw, first: below}


def settings_of(card, keys: tuple[str, ...], place: Path) -> list[dict[str, typing.Any]]:
    """Return options that lead to a file: beside those of the tests, beside the defaults, and with every path."""
    everywhere: dict[str, typing.Any] = {}
    for each in paths_in(options_model(card)):
        everywhere = with_value(everywhere, each, place)
    return [with_value(card.test_options, keys, place), with_value({}, keys, place), everywhere]


def used(card, options, cache: Path) -> None:
    """Load a restorer or a detector and work with it: what is read late is read too."""
    plugin = resolve(card.load)(options, runtime(cache))
    images = torch.rand(1, 3, 64, 64)
    if hasattr(plugin, "detect"):
        plugin.detect(images)
    else:
        plugin.restore(Batch(images, (None,), (0,), (64, 64), samples=("noisy/a",)))


def test_the_catalogue_names_the_loaders_that_there_are():
    """Were nothing found in the catalogue, nothing would be tested."""
    assert {"weights", "probe", "cleaner", "controller", "stable_diffusion"} <= {keys[-1] for _, keys in LOADERS}


def test_a_planted_pickle_would_run(planted):
    """Were it harmless, nothing would be tested."""
    pickle.loads(planted.content)
    assert planted.mark.is_dir()
    planted.mark.rmdir()


@pytest.mark.faults
@pytest.mark.parametrize(("card", "keys"), LOADERS, ids=lambda part: getattr(part, "name", None) or ".".join(part))
def test_no_option_runs_what_a_file_holds(planted, tmp_path, observe, card, keys):
    refusals = []
    for place in planted.places:
        for raw in settings_of(card, keys, place):
            try:
                used(card, validated(card, raw), tmp_path / "cache")
            except RestorebenchError as error:
                refusals.append(error)
                if str(place) in str(error):
                    break  # it was read
            else:
                pytest.fail(f"{place} was taken for weights")
    assert max(len(str(error).splitlines()) for error in refusals) == 1
    telling = [error for error in refusals if "might run code" in str(error)] or refusals
    observe(type(telling[0]).__name__, telling[0])


RESOURCED = [card for card in LOADABLE if card.resources is not None]


@pytest.mark.faults
@pytest.mark.parametrize("card", RESOURCED, ids=lambda card: card.name)
def test_no_file_in_the_cache_is_run(planted, tmp_path, observe, card):
    """Whoever can write into the cache folder before its files were first used gets no further than that."""
    required = [
        keys for keys in paths_in(options_model(card)) if options_model(card).model_fields[keys[0]].is_required()
    ]
    raw: dict[str, typing.Any] = {}
    for keys in required:
        raw = with_value(raw, keys, planted.zipped)
    try:
        options = validated(card, raw)
    except RestorebenchError:  # something else is required, which the options of the tests give
        options = validated(card, card.test_options)
    cache = tmp_path / "cache"
    for file in resolve(card.resources)(options):
        place = cache / "weights" / file.name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(planted.zipped.read_bytes())
    try:
        used(card, options, cache)
    except RestorebenchError as error:
        assert len(str(error).splitlines()) == 1
        observe(type(error).__name__, error)
    else:
        assert not resolve(card.resources)(options)
        observe("loaded", "its options name no file of weights")


METRICS = [(entry.card, protocol) for entry in CATALOG.of("metric") for protocol in entry.card.protocols[:1]]


@pytest.mark.faults
@pytest.mark.parametrize(("card", "protocol"), [each for each in METRICS if each[0].network], ids=lambda e: e.name)
def test_no_backbone_of_a_metric_is_run(planted, tmp_path, monkeypatch, observe, card, protocol):
    from restorebench_metrics.backbones import BACKBONES, checkpoints

    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    checkpoints().mkdir(parents=True)
    for backbone in BACKBONES.values():
        (checkpoints() / backbone.file).write_bytes(planted.zipped.read_bytes())
    with pytest.raises(RestorebenchError, match="might run code") as caught:
        resolve(card.load)(validated(card, {}), runtime(tmp_path / "cache"), protocol)
    observe(type(caught.value).__name__, caught.value)


def trained(folder: Path, planted: Planted) -> Path:
    """Make a folder of a training run in which every file holds the pickle."""
    for name in ("checkpoint.pt", "weights.pth", "weights_average.pth"):
        (folder / name).write_bytes(planted.zipped.read_bytes())
    (folder / "history.jsonl").write_text("")
    return folder


@pytest.mark.faults
def test_packing_runs_nothing(planted, tmp_path, observe):
    run = trained(tmp_path, planted)
    with pytest.raises(SystemExit) as stopped:
        packing.main([str(run), str(tmp_path / "out.safetensors")])
    observe("exit 1", stopped.value.code)
    assert len(str(stopped.value.code).splitlines()) == 1
    with pytest.raises(RestorebenchError, match="might run code"):
        packing.pack(run / "weights.pth", tmp_path / "out.safetensors", half=False)


@pytest.mark.faults
def test_going_on_from_a_checkpoint_runs_nothing(planted, tmp_path):
    options = Training(output=trained(tmp_path, planted), data=Data(clean="embedded"), iterations=1)
    layer = torch.nn.Linear(1, 1)
    kept = Kept(options, dict, layer, torch.optim.SGD(layer.parameters()), torch.amp.GradScaler("cpu"), None, 1)
    with pytest.raises(RestorebenchError, match="not a checkpoint of this training"):
        kept.resume(True, print)


@pytest.mark.faults
@pytest.mark.parametrize("place", ["zipped", "bare"])
def test_converting_runs_nothing(planted, tmp_path, capsys, observe, place):
    code = convert.main([str(getattr(planted, place)), str(tmp_path / "out.safetensors")])
    told = capsys.readouterr().err
    observe(f"exit {code}", told)
    assert code == 2
    assert len(told.splitlines()) == 1
    assert not (tmp_path / "out.safetensors").exists()


@pytest.mark.faults
@pytest.mark.parametrize(
    "arguments",
    [
        ("restore", "a.png", "-o", "out", "-m", "airnet", "--weights"),
        ("detect", "a.png", "-m", "daclip", "--weights"),
        ("calibrate", "clip-zero-shot", "images", "--weights"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_commands_run_nothing(planted, call, tmp_path, arguments):
    for task in ("noisy", "hazy"):
        (tmp_path / "images" / task).mkdir(parents=True)
    for place in ("a.png", "images/noisy/a.png", "images/hazy/a.png"):
        Image.new("RGB", (16, 16), (9, 99, 199)).save(tmp_path / place)
    found, _, told = call(*arguments, planted.zipped, "--workers", "0", "--device", "cpu")
    assert found in (2, 3)
    assert "might run code" in told.splitlines()[-1]  # before it, --workers 0 shows where, for debugging


@pytest.mark.faults
def test_a_saved_array_of_objects_is_not_unpickled(planted, run, tmp_path, observe):
    """The arrays of a run that saved its images unrounded come from its folder, which may be a stranger's."""
    metrics = {"metrics": ["psnr"], "protocols": ["rgb", "airnet"], "save": "all"}
    run(["identity"], settings={"workers": 0}, **metrics)
    for path in (tmp_path / "run").rglob("*.npy"):
        np.save(path, np.array([planted], dtype=object), allow_pickle=True)
    result, _ = run(["identity"], settings={"workers": 0}, **{**metrics, "metrics": ["psnr", "ssim"]})
    assert result.failed


BACKBONES = {"stable_diffusion": "PLANTED", "clip": "PLANTED"}
TRAININGS = {
    (daclip_train, "tower"): {},
    (daclip_train, "controller"): {"pretrained": "PLANTED"},
    (daclip_train, "restorer"): {"controller": "PLANTED"},
    (textual_train, "mapper"): {"backbones": BACKBONES},
    (textual_train, "clean-mapper"): {"backbones": BACKBONES, "mapper": "PLANTED"},
    (textual_train, "restorer"): {
        "backbone": "nafnet",
        "size": "tiny",
        "patch": 32,
        "alike": "PLANTED",
        "guidance": "drawn",
    },
}
"""All that a training reads beside images and tables."""
NO_WEIGHTS = {"output", "data", "validation", "guidance", "validation_guidance", "captions"}


def test_every_path_that_a_training_reads_is_planted():
    assert set(TRAININGS) == {(m, stage) for m in (daclip_train, textual_train) for stage in m.STAGES}
    assert not [keys for keys in paths_in(AirNetTraining) if keys[0] not in NO_WEIGHTS]
    for (module, stage), raw in TRAININGS.items():
        read = {keys for keys in paths_in(module.STAGES[stage].options) if keys[0] not in NO_WEIGHTS}
        assert {keys[0] for keys in read} == {key for key, value in raw.items() if "PLANTED" in str(value)}


@pytest.mark.parametrize(
    ("module", "stage"),
    [  # the table of faults skips nothing, and so has none that needs an extra
        pytest.param(*key, marks=[] if key[0] is textual_train else [pytest.mark.faults])
        for key, raw in TRAININGS.items()
        if raw
    ],
    ids=lambda part: part if isinstance(part, str) else part.__name__.split(".")[0],
)
def test_no_training_runs_what_a_file_holds(planted, tmp_path, observe, module, stage):
    if module is textual_train:
        pytest.importorskip("diffusers", reason="needs the extra: pip install 'restorebench[diffbir]'")
    data = {"data": {"clean": "embedded", "limit": 1, "tasks": ["noisy"]}, "output": str(tmp_path / "out")}
    (tmp_path / "drawn").mkdir()
    Image.new("RGB", (64, 64)).save(tmp_path / "drawn" / "astronaut.png")  # the one photograph that is taken
    for place in planted.places:
        raw = json.dumps({**data, "iterations": 1, "batch_size": 1, **TRAININGS[module, stage]})
        (tmp_path / "c.yaml").write_text(raw.replace("PLANTED", str(place)))
        with pytest.raises(SystemExit) as stopped:
            module.main([stage, str(tmp_path / "c.yaml"), "--cache", str(tmp_path / "cache")])
        told = str(stopped.value.code)
        observe("exit 1", told)
        assert len(told.splitlines()) == 1 and str(place) in told
