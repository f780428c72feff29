"""Composites: order, names, and what each part records."""

from __future__ import annotations

import json

import numpy as np
import pytest
from pydantic import ValidationError
from restorebench_degradations import options, restorebench_degradations

from restorebench import TEN_NAMES, Degraded, RestorebenchError, Stage, components
from restorebench.contract.cards import DegradationInfo, resolve
from restorebench.contract.tasks import Task
from restorebench.toolbox import seeding

CARDS = {card.name: card for card in restorebench_degradations()}


class Finder:
    """Stand in for a runtime: find cards among the plugin's own and any others given."""

    def __init__(self, *others: DegradationInfo) -> None:
        self.cards = {**CARDS, **{card.name: card for card in others}}

    def find(self, kind: str, name: str) -> DegradationInfo:
        assert kind == "degradation"
        return self.cards[name]


def composite(*parts: object, order: str = "physical", finder: Finder | None = None):
    card = CARDS["composite"]
    chosen = resolve(card.options).model_validate({"parts": parts, "order": order})
    return resolve(card.load)(chosen, finder or Finder())


def waves(height: int = 90, width: int = 120) -> np.ndarray:
    rows, columns = np.mgrid[:height, :width]
    return np.stack([0.5 + 0.4 * np.sin(rows / 9 + k) * np.cos(columns / 7) for k in range(3)], -1).astype("f4")


def order_of(*parts: object, order: str = "physical") -> list[str]:
    degraded = composite(*parts, order=order).degrade(waves(), 1, seeding.generator(0))
    return degraded.parameters["order"]


def test_parts_follow_the_light_whatever_their_order_in_the_list():
    expected = ["shadowed", "rainy", "snowy", "hazy", "raindrop", "motion-blurry", "low-light"]
    expected += ["noisy", "jpeg-compressed", "uncompleted"]
    assert order_of(*TEN_NAMES) == order_of(*reversed(TEN_NAMES)) == expected


def test_cdd_order_puts_low_light_first_and_haze_over_the_particles():
    assert order_of("hazy", "snowy", "low-light", "rainy", order="cdd") == ["low-light", "rainy", "snowy", "hazy"]
    assert order_of("hazy", "jpeg-compressed", "low-light", order="cdd")[-1] == "jpeg-compressed"


@pytest.mark.parametrize("name", ["hazy+rainy", "low-light+noisy", "hazy+low-light+snowy"])
def test_task_name_of_several_degradations_gives_each_part_its_parameters_and_maps(name):
    degraded = composite(*components(name)).degrade(waves(), 2, seeding.generator(0, name))
    assert set(degraded.parameters) == {"order", *components(name)}
    assert json.loads(json.dumps(dict(degraded.parameters))) == degraded.parameters
    assert all(key.split("/")[0] in components(name) for key in degraded.maps)
    assert degraded.image.dtype == np.float32 and degraded.image.shape == waves().shape
    if "hazy" in components(name):
        assert "hazy/transmission" in degraded.maps


def test_output_of_each_part_is_the_input_of_the_next():
    steps = []

    class Step:
        def __init__(self, name: str) -> None:
            self.name = name

        def degrade(self, clean: np.ndarray, severity: int, rng: np.random.Generator) -> Degraded:
            steps.append((self.name, float(clean[0, 0, 0]), severity))
            return Degraded(clean + 1, {"unit": float(rng.random())})

    def card(name: str, stage: Stage) -> DegradationInfo:
        return DegradationInfo(
            name=name,
            version="1",
            summary="adds one",
            task=Task(name, name, name),
            stage=stage,
            load=lambda options, runtime: Step(name),
        )

    finder = Finder(card("late", Stage.MASK), card("early", Stage.HAZE))
    degraded = composite("late", "early", finder=finder).degrade(
        np.zeros((2, 2, 3), "f4"), 4, seeding.generator(0)
    )
    assert steps == [("early", 0.0, 4), ("late", 1.0, 4)]
    assert degraded.image.max() == 2
    with pytest.raises(RestorebenchError, match="takes no options"):
        composite({"name": "late", "options": {"a": 1}}, finder=finder)


def test_adding_a_part_leaves_what_the_others_draw():
    alone = composite("shadowed").degrade(waves(), 3, seeding.generator(0))
    joined = composite("rainy", "shadowed", "noisy").degrade(waves(), 3, seeding.generator(0))
    assert np.array_equal(alone.maps["shadowed/matte"], joined.maps["shadowed/matte"])


def test_same_generator_state_gives_same_bytes():
    first, second = (composite("rainy", "hazy").degrade(waves(), 3, seeding.generator(1)) for _ in range(2))
    assert first.image.tobytes() == second.image.tobytes()


def test_options_of_a_part_reach_it_and_mistakes_name_it():
    parts = ["rainy", {"name": "noisy", "options": {"sigma": 12}}]
    degraded = composite(*parts).degrade(waves(), 3, seeding.generator(0))
    assert degraded.parameters["noisy"]["sigma"] == 12
    with pytest.raises(RestorebenchError, match="'noisy': sigmma"):
        composite({"name": "noisy", "options": {"sigmma": 12}})


@pytest.mark.parametrize("parts", [[], ["hazy", "hazy"], ["hazy", {"name": "hazy"}]])
def test_no_part_at_all_or_one_part_twice_is_rejected(parts):
    with pytest.raises(ValidationError):
        options.Composite(parts=parts)
