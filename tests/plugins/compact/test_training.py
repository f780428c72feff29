"""Training of all-in-one-compact: banks, crops, and a run that goes on exactly where it stopped."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from restorebench_compact.train import bank
from restorebench_compact.train.config import Bank, CompactTraining, Crops, Exponent
from restorebench_compact.train.stage import CompactStage

from restorebench import RestorebenchError
from restorebench.toolbox import images
from restorebench.training.config import Data
from restorebench.training.loop import train


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clean")
    rng = np.random.default_rng(0)
    for number in range(4):
        coarse = rng.random((7, 9, 3))
        images.write_png(folder / f"{number}.png", np.kron(coarse, np.ones((32, 32, 1))))
    return folder


@pytest.fixture
def options(photographs, tmp_path):
    def build(**changes):
        given = {
            "output": tmp_path / "run",
            "data": Data(clean=photographs, severities=(3,), clean_share=0.1),
            "validation": Data(clean=photographs, severities=(3,)),
            "validation_images": 1,
            "bank": Bank(folder=tmp_path / "bank", records=22),
            "crops": (Crops(side=32, batch=2, share=2), Crops(side=48, batch=1)),
            "widths": (8, 8, 8, 8),
            "iterations": 6,
            "save_every": 3,
            "schedule": "constant",  # a cosine would know how long it is
            "average": {"decay": 0.9, "every": 1, "start": 0},
        }
        return CompactTraining.model_validate({**given, **changes})

    return build


def weights_of(folder):
    return torch.load(folder / "checkpoint.pt", weights_only=True)["module"]


def test_a_training_that_stopped_goes_on_to_the_same_weights(options, tmp_path):
    straight, stopped = options(output=tmp_path / "straight"), options(output=tmp_path / "stopped")
    curve = [entry["loss"] for entry in train(CompactStage(straight, tmp_path), straight) if "loss" in entry]
    half = options(output=tmp_path / "stopped", iterations=3)
    train(CompactStage(half, tmp_path), half)
    again = [entry["loss"] for entry in train(CompactStage(stopped, tmp_path), stopped) if "loss" in entry]
    assert len(curve) == 6 and curve == again
    expected, found = weights_of(tmp_path / "straight"), weights_of(tmp_path / "stopped")
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_validation_tells_the_gain_of_each_task(options, tmp_path):
    chosen = options(iterations=1, validate_every=1)
    scores = train(CompactStage(chosen, tmp_path), chosen)[-1]
    gains = [scores[f"validation/{kind}"] for kind in bank.KINDS[:-1]]
    assert scores["validation/gain"] == pytest.approx(np.mean(gains))
    assert scores["validation/clean"] > 20


def test_a_bank_is_made_once_and_replaced_by_the_next(options, tmp_path):
    chosen = options()
    told = (tmp_path / "bank", chosen.data.clean, chosen.bank, chosen.data.severities, 0)
    said = []
    first = bank.opened(*told, 0, said.append)[5]
    again = bank.opened(*told, 0, said.append)[5]
    assert len(said) == 1
    assert np.array_equal(first.degraded, again.degraded)
    second = bank.opened(*told, 1, said.append)[5]
    assert len(said) == 2 and len(list((tmp_path / "bank").iterdir())) == 1
    assert first.clean.shape != second.clean.shape or not np.array_equal(first.clean, second.clean)


def test_records_hold_what_the_network_is_shown(options, tmp_path):
    chosen = options()
    held = bank.opened(tmp_path / "bank", chosen.data.clean, chosen.bank, (3,), 0, 0)
    kinds = [held[number].kind for number in range(22)]
    assert kinds == [*range(11), *range(11)]
    holes = held[bank.KINDS.index("uncompleted")]
    assert holes.holes.any() and (holes.degraded[holes.holes] == 255).all()
    assert not (holes.filled[holes.holes] == 255).all()
    assert np.array_equal(held[10].degraded, held[10].clean)


def test_banks_of_another_synthesis_have_another_name(options, tmp_path, monkeypatch):
    chosen = options()
    told = (tmp_path / "bank", chosen.data.clean, chosen.bank, chosen.data.severities, 0, 0, lambda text: None)
    bank.opened(*told)
    monkeypatch.setattr(bank, "_fingerprint", lambda makers: "another")
    bank.opened(*told)
    assert len(list((tmp_path / "bank").iterdir())) == 2


def test_the_exponent_falls_along_a_line():
    falling = Exponent(first=0.5, last=0.1, start=100, end=300)
    assert [round(falling.at(n), 3) for n in (0, 100, 200, 300, 400)] == [0.5, 0.5, 0.3, 0.1, 0.1]


def test_a_weight_of_no_task_is_refused(options, tmp_path):
    with pytest.raises(RestorebenchError, match="task_weights: 'fog' is not one of the ten tasks"):
        CompactStage(options(task_weights={"fog": 1.0}), tmp_path)
