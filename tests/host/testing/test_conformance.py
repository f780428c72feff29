"""The conformance suite passes what keeps the contract, and says of each breach what was expected."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from unittest import SkipTest

import numpy as np
import pytest
import torch
from pydantic import BaseModel, Field

from restorebench import (
    ContractViolation,
    DatasetInfo,
    DegradationInfo,
    Degraded,
    Detection,
    DetectorInfo,
    MetricInfo,
    RestorerInfo,
    Sample,
    SampleInfo,
    ScoringProtocol,
    Stage,
    Task,
    Tiling,
    UnknownName,
    Variant,
)
from restorebench.guest import calling
from restorebench.testing import (
    check_dataset,
    check_degradation,
    check_detector,
    check_metric,
    check_restorer,
    checks,
)
from restorebench.toolbox.options import PluginOptions
from restorebench.toolbox.seeding import normal

BUILT_IN = [
    ("restorer", "identity"),
    ("restorer", "classical"),
    ("restorer", "global-affine"),
    ("detector", "statistics"),
    ("degradation", "noisy"),
    ("metric", "psnr"),
    ("metric", "ssim"),
    ("metric", "psnr-hole"),
    ("dataset", "synthetic"),
    ("reporter", "csv"),
    ("reporter", "latex"),
    ("figure", "radar"),
]


@pytest.mark.parametrize(
    "check",
    [pytest.param(check, id=f"{name}-{check}") for kind, name in BUILT_IN for check in checks(kind, name)],
)
def test_built_in_plugins_conform(check):
    check()


# ---------------------------------------------------------------- restorers


class Calls:
    """Make a restorer of a function of the batch."""

    def __init__(self, function):
        self.restore = function


def restorer(function, **facts):
    return RestorerInfo(
        name="breach",
        version="1",
        summary="Breaks.",
        load=lambda options, runtime: Calls(function),
        **facts,
    )


def halves_in_place(batch):
    batch.degraded.mul_(0.5)
    return batch.degraded.clone()


def adds_keyed_noise(batch):
    top, left = batch.window
    height, width = batch.degraded.shape[-2:]
    window = (top, left, height, width)
    return batch.degraded + 0.1 * normal(batch.keys, 0, 0, (3, *batch.full_size), window)


def removes_the_mean_of_the_image(batch):
    return batch.degraded - batch.degraded.mean(dim=(2, 3), keepdim=True)


def darkens_what_it_is_told_of(batch):
    factors = torch.tensor([0.5 if "noisy" in told.labels else 1.0 for told in batch.told])
    return batch.degraded * factors[:, None, None, None]


def darkens_what_it_is_told_to(batch):
    factors = torch.tensor([0.5 if told and "noisy" in told.labels else 1.0 for told in batch.told])
    return batch.degraded * factors[:, None, None, None]


BREACHES = {
    "wrong-shape": (lambda batch: batch.degraded[..., 1:], "returned shape"),
    "wrong-dtype": (lambda batch: batch.degraded.double(), "expected torch.float32"),
    "not-a-tensor": (lambda batch: batch.degraded.numpy(), "expected a torch.Tensor"),
    "not-a-number": (lambda batch: batch.degraded * float("nan"), "NaN or infinite"),
    "writes-into-its-input": (halves_in_place, "wrote into batch.degraded"),
    "sees-the-whole-batch": (
        lambda batch: batch.degraded - batch.degraded.mean(),
        "from itself restored alone; at most 1e-05 is allowed",
    ),
    "secretly-stochastic": (adds_keyed_noise, "says stochastic=False, but other keys changed the result"),
    "globally-random": (
        lambda batch: batch.degraded + torch.rand_like(batch.degraded),
        "never from a global generator",
    ),
    "secretly-global": (removes_the_mean_of_the_image, "say Tiling.HARMFUL"),
}


@pytest.mark.parametrize(("function", "message"), BREACHES.values(), ids=BREACHES)
def test_a_restorer_that_breaks_the_contract_is_caught(function, message):
    with pytest.raises(ContractViolation, match=f"restorer 'breach': .*{message}"):
        check_restorer(restorer(function))


def test_a_restorer_that_is_not_stochastic_though_it_says_so_is_caught():
    with pytest.raises(ContractViolation, match="stochastic=True, but other keys gave the same"):
        check_restorer(restorer(lambda batch: batch.degraded.clone(), stochastic=True))


def test_a_restorer_that_acts_though_it_is_told_nothing_is_caught():
    with pytest.raises(ContractViolation, match="acts_when_told, but told nothing it changed a pixel"):
        check_restorer(restorer(lambda batch: batch.degraded * 0.5, acts_when_told=True))


@pytest.mark.parametrize(
    ("function", "facts"),
    [
        (adds_keyed_noise, {"stochastic": True}),
        (removes_the_mean_of_the_image, {"tiling": Tiling.HARMFUL}),
        (darkens_what_it_is_told_of, {"needs_task": True}),
        (darkens_what_it_is_told_to, {"acts_when_told": True}),
        (lambda batch: batch.degraded.clone(), {"multiple_of": 64}),
    ],
    ids=["stochastic", "global", "needs-task", "acts-when-told", "padded"],
)
def test_a_restorer_whose_card_says_what_it_does_conforms(function, facts):
    check_restorer(restorer(function, **facts))


def test_a_restorer_that_wants_whole_blocks_is_given_nothing_else():
    def restore(batch):
        assert batch.degraded.shape[-2] % 8 == batch.degraded.shape[-1] % 8 == 0
        return batch.degraded.clone()

    check_restorer(restorer(restore, multiple_of=8))


# ---------------------------------------------------------------- options and imports


class Loose(BaseModel):
    """Lets misspelt keys through."""

    sigma: float = Field(1.0, description="width in pixels")


class Undocumented(PluginOptions):
    """Says nothing of its field."""

    sigma: float = 1.0


class Ambiguous(PluginOptions):
    """Cannot tell a tag from a file."""

    weights: Path | str = Field("tag", description="a tag or a file")


class Demanding(PluginOptions):
    """Has no default."""

    sigma: float = Field(description="width in pixels")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (Loose, "must refuse unknown keys"),
        (Undocumented, "'sigma' needs a description"),
        (Ambiguous, "'weights' takes a str or a Path, so every text becomes a path"),
        (Demanding, "needs a default"),
    ],
)
def test_careless_options_are_caught(options, message):
    with pytest.raises(ContractViolation, match=message):
        check_restorer(restorer(lambda batch: batch.degraded.clone(), options=options))


def test_an_option_without_a_default_may_have_a_value_for_tests():
    card = restorer(lambda batch: batch.degraded.clone(), options=Demanding, test_options={"sigma": 1})
    check_restorer(card)


def test_a_plugin_that_imports_torch_for_its_card_is_caught(tmp_path):
    from restorebench.contract.catalog import discover

    path = tmp_path / "heavy.py"
    path.write_text(
        "import torch\nfrom restorebench import RestorerInfo, hookimpl\n\n\n"
        "@hookimpl\ndef restorebench_restorers():\n"
        "    return [RestorerInfo(name='heavy', version='1', summary='Heavy.', load='a:b')]\n"
    )
    listed = {str(check): check for check in checks("restorer", "heavy", catalog=discover([path]))}
    with pytest.raises(ContractViolation, match="imports torch"):
        listed["card_is_inert"]()


def test_a_card_of_another_kind_is_refused():
    with pytest.raises(ContractViolation, match="a detector needs a DetectorInfo, got RestorerInfo"):
        checks("detector", restorer(lambda batch: batch.degraded))


def test_an_unknown_name_is_refused_at_once():
    with pytest.raises(UnknownName, match="nearest: identity"):
        checks("restorer", "identiy")


def test_what_cannot_work_here_is_skipped_with_its_reason():
    card = restorer(lambda batch: batch.degraded, requires={"no_such_module": "pip install no-such-module"})
    with pytest.raises(SkipTest, match="pip install no-such-module"):
        check_restorer(card)


def test_it_needs_no_pytest():
    code = (
        "import sys; sys.modules['pytest'] = None; import restorebench.testing as t; t.check_restorer('identity')"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


# ---------------------------------------------------------------- the other kinds


class Detects:
    def __init__(self, verdict):
        self.detect = lambda images: [verdict(image) for image in images]


def surely(probability, task="noisy"):
    return lambda image: Detection(frozenset({task}), {task: probability})


def darkens_in_place(image):
    image.mul_(0.5)
    return Detection(frozenset())


@pytest.mark.parametrize(
    ("detect", "message"),
    [
        (surely(1.5), "outside"),
        (surely(float("nan")), "outside"),
        (surely(1.0, "foggy"), "foggy"),
        (surely(1.0, "clean"), "label 'clean'"),
        (surely(1.0, 3), "not a string"),
        (lambda image: Detection(frozenset(), {"foggy": 0.5}), "foggy"),
        (lambda image: "noisy", "expected a Detection"),
        (darkens_in_place, "wrote into its images"),
    ],
    ids=[
        "above-one",
        "nan",
        "strange-label",
        "label-clean",
        "number",
        "strange-probability",
        "a-string",
        "writes",
    ],
)
def test_a_detector_that_breaks_the_contract_is_caught_here_and_in_a_run(detect, message):
    card = DetectorInfo(
        name="breach",
        version="1",
        summary="Breaks.",
        load=lambda options, runtime: Detects(detect),
        tasks=("noisy", "hazy"),
    )
    with pytest.raises(ContractViolation, match=message):
        check_detector(card)
    with pytest.raises(ContractViolation, match=message):
        calling.checked(card.tasks, calling.detected(Detects(detect), torch.rand(2, 3, 8, 8)))


def test_a_detector_may_say_how_probable_it_is_that_nothing_is_wrong():
    card = DetectorInfo(
        name="sure",
        version="1",
        summary="Knows.",
        load=lambda options, runtime: Detects(lambda image: Detection(frozenset(), {"noisy": 0.1, "clean": 0.9})),
        tasks=("noisy",),
    )
    check_detector(card)


class Degrades:
    def __init__(self, function):
        self.degrade = function


@pytest.mark.parametrize(
    ("degrade", "message"),
    [
        (lambda clean, severity, rng: Degraded(clean + np.float32(1), {}), "outside"),
        (lambda clean, severity, rng: Degraded(clean.astype(float), {}), "float32"),
        (lambda clean, severity, rng: Degraded(clean.copy(), {"sigma": np.float32(1)}), "JSON"),
        (lambda clean, severity, rng: Degraded(np.sqrt(clean, out=clean), {}), "wrote into the clean image"),
        (
            lambda clean, severity, rng: Degraded(np.random.default_rng().random(clean.shape, np.float32), {}),
            "draw from `rng` alone",
        ),
    ],
    ids=["out-of-range", "float64", "not-json", "writes", "own-generator"],
)
def test_a_degradation_that_breaks_the_contract_is_caught(degrade, message):
    card = DegradationInfo(
        name="breach",
        version="1",
        summary="Breaks.",
        load=lambda options, runtime: Degrades(degrade),
        task=Task("breach", "Breach", "broken"),
        stage=Stage.SENSOR,
    )
    with pytest.raises(ContractViolation, match=message):
        check_degradation(card)


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        (lambda restored, clean: (restored - clean).square().mean(), r"returned \(\), expected"),
        (lambda restored, clean: 1.0, "returned float, expected"),
        (lambda restored, clean: torch.full((len(clean),), torch.nan).double(), "returned NaN"),
        (lambda restored, clean: (restored - clean).square().mean((1, 2, 3)).float(), "float32, expected float64"),
        (lambda restored, clean: (restored - clean).square().mean((1, 2, 3)), "must be ordered"),
        (lambda restored, clean: -(restored - clean).square().mean().expand(len(clean)), "batch and single"),
    ],
    ids=["one-number", "no-tensor", "nan", "float32", "wrong-direction", "batch-mean"],
)
def test_a_metric_that_breaks_the_contract_is_caught(metric, message):
    card = MetricInfo(
        name="breach",
        version="1",
        summary="Breaks.",
        load=lambda options, runtime, protocol: metric,
        higher_is_better=True,
        protocols=(ScoringProtocol("rgb", "As it is"),),
    )
    with pytest.raises(ContractViolation, match=message):
        check_metric(card)


def _one(**fields):
    return Variant(**{"protocol": "rgb", "preparation": ("cut",), "formula": (), "rarity": 1.0, **fields})


@pytest.mark.parametrize(
    ("variants", "message"),
    [
        (lambda restored, clean, rarest: [(_one(protocol="y"), 1.0)], "is of no protocol of the metric"),
        (lambda restored, clean, rarest: [(_one(preparation=()), 1.0)], "departs from its protocol in nothing"),
        (lambda restored, clean, rarest: [(_one(rarity=9.0), 1.0)], "is rarer than the asked 1.5"),
        (lambda restored, clean, rarest: [(_one(), restored.mean())], "expected a float"),
        (lambda restored, clean, rarest: [(_one(), float(restored.sort() is None))], "modified its images"),
        (
            lambda restored, clean, rarest: [(_one(preparation=(str(clean.mean()),)), 1.0)],
            "must have the same variants",
        ),
        (lambda restored, clean, rarest: [("rgb, cut", 1.0)], "expected a Variant"),
    ],
    ids=["protocol", "departs", "rare", "float32", "writes", "varies", "text"],
)
def test_variants_that_break_the_contract_are_caught(variants, message):
    card = MetricInfo(
        name="breach",
        version="1",
        summary="Breaks.",
        load=lambda options, runtime, protocol: (
            lambda restored, clean: (restored - clean).square().mean((1, 2, 3))
        ),
        higher_is_better=False,
        protocols=(ScoringProtocol("rgb", "As it is"),),
        variants=variants,
    )
    with pytest.raises(ContractViolation, match=message):
        check_metric(card)


def test_a_paired_folder_conforms_where_its_options_point_at_data(pairs):
    check_dataset("paired-folder", options={"path": str(pairs)})


@pytest.mark.parametrize(
    "name",
    ["numpy", "nan", "path", "tuple-key", "float64", "other-size", "not-finite", "not-a-sample"],
)
def test_a_sample_that_a_run_refuses_is_caught(name):
    from restorebench.contract.catalog import discover

    catalog = discover([Path(__file__).parents[1] / "plugins" / "careless.py"])
    (card,) = (entry.card for entry in catalog.of("dataset") if entry.card.name == "careless")

    def index(options, request):
        return [info for info in card.index(options, request) if info.id == name]

    def load(options, request):
        place = next(place for place, info in enumerate(card.index(options, request)) if info.id == name)
        return [card.load(options, request)[place]]

    with pytest.raises(ContractViolation, match=r"the sample's|expected a Sample"):
        check_dataset(replace(card, index=index, load=load))


@pytest.mark.parametrize("clean", [None, np.full((16, 16, 3), 0.25, np.float32)], ids=["unpaired", "degraded"])
def test_a_clean_sample_that_is_not_its_own_ground_truth_is_caught(clean):
    card = DatasetInfo(
        name="not-clean",
        version="1",
        summary="Gives degraded images for clean ones.",
        load=lambda options, request: [Sample(np.full((16, 16, 3), 0.5, np.float32), clean)],
        index=lambda options, request: [SampleInfo("a", 16, 16, "0" * 64, "a", "published")],
    )
    with pytest.raises(ContractViolation, match="clean, a: its `degraded` is not its ground truth"):
        check_dataset(card)


def test_an_empty_dataset_is_caught(tmp_path):
    card = DatasetInfo(
        name="empty",
        version="1",
        summary="Holds nothing.",
        load=lambda options, request: [],
        index=lambda options, request: [],
    )
    with pytest.raises(ContractViolation, match="no sample of any task"):
        check_dataset(card)
