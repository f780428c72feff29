"""Training learns in two phases, goes on where it stopped, and writes files that the restorer reads."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from restorebench_airnet import checkpoint, recipe
from restorebench_airnet.train.__main__ import RECIPES, main
from restorebench_airnet.train.config import AirNetTraining
from restorebench_airnet.train.stage import AirNetStage, PatchPairs

from restorebench import TEN, RestorebenchError, Runtime
from restorebench.toolbox import images
from restorebench.training import data
from restorebench.training.config import load
from restorebench.training.loop import train
from restorebench.training.optimising import rate

TINY = {"width": 8, "groups": 1, "blocks": 2, "patch": 16, "batch_size": 2, "contrast_iterations": 2}
COMPACT = {"deformable": "last", "shuffle": 2, "residual": True, "scene": True, "freeze_statistics": 2}


@pytest.fixture
def pairs(tmp_path):
    """Four pairs of 24 x 20 px: two photographs under two tasks."""
    rng = np.random.default_rng(0)
    for task, shade in (("noisy", 1.0), ("low-light", 0.3)):
        for name in "ab":
            clean = rng.random((24, 20, 3), dtype=np.float32)
            for side, shown in (("GT", clean), ("LQ", shade * clean)):
                (tmp_path / "pairs" / task / side).mkdir(parents=True, exist_ok=True)
                images.write_png(tmp_path / "pairs" / task / side / f"{name}.png", shown)
    return tmp_path / "pairs"


@pytest.fixture
def options(pairs, tmp_path):
    def make(output="out", **given):
        base = {"output": tmp_path / output, "data": {"pairs": pairs}, "iterations": 6, "save_every": 3}
        return AirNetTraining(**base | TINY | {"schedule": "constant"} | given)

    return make


def go(options):
    stage = AirNetStage(options, options.output)
    return stage, train(stage, options, lambda text: None)


def losses_of(entries):
    return [entry["loss"] for entry in entries]


def test_training_twice_gives_the_same_curve(options):
    assert losses_of(go(options("one"))[1]) == losses_of(go(options("two"))[1])


@pytest.mark.parametrize("more", [{}, COMPACT | {"average": {"decay": 0.5, "every": 1, "start": 0}}])
@pytest.mark.parametrize("stopped", [1, 3])
def test_a_training_that_was_stopped_goes_on_bit_for_bit(options, more, stopped):
    """After one step it is in the first phase, after three in the second; the queue and statistics go on too."""
    go(options("parts", iterations=stopped, **more))
    found, entries = go(options("parts", **more))
    expected, whole = go(options("whole", **more))
    assert losses_of(entries) == losses_of(whole)
    assert found.module.state_dict().keys() == expected.module.state_dict().keys()
    for name, value in expected.module.state_dict().items():
        assert torch.equal(found.module.state_dict()[name], value), name
    files = [torch.load(options(name).output / "weights.pth", weights_only=True) for name in ("parts", "whole")]
    one, two = (held.get("state_dict", held) for held in files)
    assert all(torch.equal(one[name], two[name]) for name in two)


def test_the_first_phase_leaves_the_restorer_alone(options):
    fresh = AirNetStage(options(), options().output).module.state_dict()
    stage, entries = go(options(iterations=2))
    changed = {name for name, value in stage.module.state_dict().items() if not torch.equal(value, fresh[name])}
    assert not any(name.startswith("network.R.") for name in changed)
    assert any("encoder_q" in name for name in changed)
    assert "network.E.E.queue" in changed
    assert all(entry["loss"] == pytest.approx(entry["contrast"]) for entry in entries)
    stage, entries = go(options(iterations=3))
    assert entries[2]["loss"] == pytest.approx(entries[2]["l1"] + 0.1 * entries[2]["contrast"])
    assert not torch.equal(stage.module.state_dict()["network.R.tail.0.bias"], fresh["network.R.tail.0.bias"])


def test_statistics_stand_still_after_as_many_iterations_as_told(options):
    def statistics(output, **given):
        state = go(options(output, **given))[0].module.state_dict()
        return torch.cat([value for name, value in state.items() if "running" in name])

    after_two = statistics("two", iterations=2)
    assert torch.equal(after_two, statistics("frozen", iterations=4, freeze_statistics=2))
    assert not torch.equal(after_two, statistics("moving", iterations=4))


def test_the_phase_counts_iterations_of_all_their_parts(options):
    _, entries = go(options(iterations=3, accumulate=2))
    assert ["l1" in entry for entry in entries] == [False, False, True]


def test_a_queue_that_no_batch_divides_is_refused(options):
    with pytest.raises(RestorebenchError, match=r"queue: 25 is no multiple of batch_size 2; leave it out for 512"):
        AirNetStage(options(queue=25), options().output)


def test_query_and_key_are_two_patches_of_one_image(options, pairs):
    chosen = options(turn=False)
    stage = AirNetStage(chosen, chosen.output)
    patches = PatchPairs(data.Pairs(stage.source, chosen), 16, turn=False)
    for number in range(8):
        pair, sample = patches.pairs[number], patches[number]
        for name, image in (("degraded", pair.degraded), ("key", pair.degraded), ("clean", pair.clean)):
            windows = np.lib.stride_tricks.sliding_window_view(image, (16, 16, 3))[:, :, 0]
            at = (windows == sample[name].permute(1, 2, 0).numpy()).all(axis=(2, 3, 4))
            assert at.any(), f"{name} is no part of its image"
    apart = [not torch.equal(patches[number]["degraded"], patches[number]["key"]) for number in range(8)]
    assert sum(apart) > 4


def test_weights_are_read_by_the_restorer(options, tmp_path):
    runtime = Runtime("cpu", 1, tmp_path, {}, True, TEN, lambda kind, name: None)
    for name, more in (("published", {}), ("compact", COMPACT | {"spectrum": 0.05})):
        stage, _ = go(options(name, iterations=3, **more))
        network = checkpoint.image_network(options(name).output / "weights.pth", runtime)
        given = torch.rand(1, 3, 17, 14)
        with torch.no_grad():
            expected = stage.module.eval().network.restore(given)
        assert torch.allclose(network(given), expected, atol=1e-5)


def test_an_average_holds_what_restores_images_alone(options, tmp_path):
    chosen = options(iterations=3, average={"decay": 0.5, "every": 1, "start": 0}, **COMPACT)
    go(chosen)
    whole, average = (
        torch.load(chosen.output / f"{name}.pth", weights_only=True) for name in ("weights", "weights_average")
    )
    assert average["notes"] == whole["notes"] == {"residual": True}
    assert average["state_dict"].keys() == checkpoint.needed(whole["state_dict"]).keys()
    assert any("encoder_k" in name for name in whole["state_dict"])
    runtime = Runtime("cpu", 1, tmp_path, {}, True, TEN, lambda kind, name: None)
    assert checkpoint.image_network(chosen.output / "weights_average.pth", runtime).R.residual


def test_validation_scores_and_shows_every_task(options, pairs, tmp_path):
    chosen = options(validation={"pairs": pairs}, validation_images=4, validate_every=6)
    stage, entries = go(chosen)
    scores = entries[-1]
    assert {"validation/psnr", "validation/gain", "validation/gain/noisy"} <= scores.keys()
    both = (scores["validation/gain/noisy"] + scores["validation/gain/low-light"]) / 2
    assert scores["validation/gain"] == pytest.approx(both)
    shown = sorted(path.name for path in (tmp_path / "out" / "validation" / "6").iterdir())
    assert shown == ["low-light-a.png", "low-light-b.png", "noisy-a.png", "noisy-b.png"]
    assert images.read_size(tmp_path / "out" / "validation" / "6" / shown[0]) == (24, 60)
    assert stage.module.training


def test_the_published_recipe_learns_as_fast_as_published(tmp_path):
    chosen = load(RECIPES / "published.yaml", AirNetTraining, [f"output={tmp_path}", "data.clean=embedded"])
    assert chosen.iterations == 400 * recipe.EPOCHS
    assert chosen.contrast_iterations == 400 * recipe.ENCODER_EPOCHS
    for epoch in range(recipe.EPOCHS):
        for iteration in (400 * epoch + 1, 400 * epoch + 400):
            assert rate(chosen, iteration) == pytest.approx(recipe.learning_rate(epoch), rel=1e-9)


def test_the_command_trains(pairs, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    small = ["width=8", "groups=1", "patch=16", "iterations=3", "contrast_iterations=1", "batch_size=2"]
    given = [*small, "output=out", "data.clean=null", "data.pairs=pairs", "data.severities=[3]", "validation=null"]
    main(["compact", *(word for each in given for word in ("--set", each))])
    assert "3/3 loss" in capsys.readouterr().out
    with pytest.raises(SystemExit, match=r"data: .*give either"):
        main(["published", "--set", "output=x", "--set", "data.limit=1"])
