"""The trained models in the package: they are what their cards say, and they restore and detect."""

from __future__ import annotations

from pathlib import Path
from statistics import mean

import pytest
import restorebench_airnet
import restorebench_daclip

from restorebench import TEN, TEN_NAMES, Batch, Runtime, synthesisers
from restorebench.contract.catalog import discover
from restorebench.testing import checks
from restorebench.toolbox import images, photographs
from restorebench.toolbox.files import file_digest
from restorebench.toolbox.options import loaded
from restorebench.toolbox.synthesis import centre_crop, degrade

FILES = sorted(
    path
    for plugin in (restorebench_airnet, restorebench_daclip)
    for path in (Path(plugin.__file__).parent / "weights").glob("*.safetensors")
)
CARDS = [("restorer", "airnet-compact"), ("restorer", "daclip-compact"), ("detector", "daclip-compact")]
SIDE = 192


@pytest.mark.parametrize("check", [check for kind, name in CARDS for check in checks(kind, name)], ids=str)
def test_conformance(check):
    check()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_each_file_has_the_card_it_was_packed_with(path):
    text = path.with_suffix(".md").read_text()
    assert f"sha256 {file_digest(path)}" in text
    for fact in ("seed: ", "photographs: ", "configuration: ", "## Training curve"):
        assert fact in text
    assert "daclip" not in str(path) or "no language" in text


def test_the_package_stays_small():
    assert len(FILES) == 3
    assert sum(path.stat().st_size for path in FILES) < 16e6


@pytest.fixture(scope="module")
def degraded():
    """Half of the embedded photographs, which no model was trained on: (task, degraded, clean)."""
    makers = synthesisers(TEN_NAMES)
    found = []
    for path in photographs.listed("embedded")[::2]:
        clean = centre_crop(images.read(path), SIDE)
        found += [(name, degrade(makers[name], clean, name, 3), clean) for name in TEN_NAMES]
    return found


def ready(kind, name, tmp_path):
    runtime = Runtime("cpu", 1, tmp_path, {}, True, TEN, lambda kind, name: None)
    return loaded(discover().find(kind, name), {}, runtime)


def psnr(image, clean):
    return float(-10 * (images.to_tensor([image]) - images.to_tensor([clean])).square().mean().log10())


@pytest.mark.slow
@pytest.mark.parametrize(("name", "least"), [("airnet-compact", 3.0), ("daclip-compact", 3.0)])
def test_restorers_gain_on_photographs_they_never_saw(name, least, degraded, tmp_path):
    restorer = ready("restorer", name, tmp_path)
    gains = []
    for _, image, clean in degraded:
        given = Batch(images.to_tensor([image]), (None,), (0,), (SIDE, SIDE))
        restored = restorer.restore(given).clamp(0, 1)[0].permute(1, 2, 0).numpy()
        gains.append(psnr(restored, clean) - psnr(image, clean))
    assert mean(gains) > least


@pytest.mark.slow
def test_the_detector_tells_the_ten_apart(degraded, tmp_path):
    detector = ready("detector", "daclip-compact", tmp_path)
    found = [(task, detector.detect(images.to_tensor([image]))[0].probabilities) for task, image, _ in degraded]
    assert mean(max(chances, key=chances.get) == task for task, chances in found) >= 0.8
