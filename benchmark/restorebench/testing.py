"""The conformance suite: hold a plugin to the contract it will be held to in a run, and to what its card says.

    import pytest
    from restorebench.testing import checks

    @pytest.mark.parametrize("check", checks("restorer", "gauss"), ids=str)
    def test_conformance(check):
        check()

A check raises ContractViolation, saying what was expected, or unittest.SkipTest where the card says that it
cannot work here. `check_restorer("gauss")` and its like run them all without pytest.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any
from unittest import SkipTest

from restorebench.catalog import Catalog, Entry, discover, validated_options
from restorebench.contracts import (
    CARD_TYPES,
    Batch,
    Card,
    DataRequest,
    DegradationInfo,
    Degraded,
    Detection,
    DetectorInfo,
    Metric,
    MetricInfo,
    RestorerInfo,
    Runtime,
    Sample,
    SampleInfo,
    ScoringProtocol,
    Tiling,
    resolve,
)
from restorebench.errors import ContractViolation, UnknownName, nearest
from restorebench.runner import cache_folder
from restorebench.tasks import CLEAN, TEN_NAMES, components

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from restorebench.contracts import Image
    from restorebench.worker.restoring import Restored

SIZES = ((1, 1), (17, 23), (64, 48))
"""Heights and widths every restorer, detector and degradation has to cope with."""

BATCH_TOLERANCE = 1e-5
"""A network's last float bits may move with the batch size; 1/25 of an 8-bit step is far above that."""

TILING_TOLERANCE = 0.1
"""Largest change of a pixel that tiles overlapping by 32 px may make on a smooth image, for Tiling.ALLOWED."""

SCORE_TOLERANCE = 1e-9
"""Scores are float64; those of networks are float32 and get 1e-4."""

_HEAVY = ("torch", "numpy", "scipy", "pandas", "skimage")
_KINDS_OF_SAMPLE = ("captured", "published", "derived", "synthetic")


@dataclass(frozen=True)
class Subject:
    """The card under test, and how to load it. options are raw, as a suite would give them."""

    entry: Entry
    catalog: Catalog
    options: Mapping[str, Any]
    device: str

    @property
    def card(self) -> Any:
        """The card, of the type its kind says."""
        return self.entry.card

    @cached_property
    def runtime(self) -> Runtime:
        """What a worker would hand to `load`: offline, and without data folders."""
        return Runtime(self.device, 1, cache_folder(), {}, True, self.catalog.tasks, self.catalog.find)

    @cached_property
    def validated(self) -> Any:
        """The options as the card's own model, or None."""
        return validated_options(self.card, self.options)

    @cached_property
    def loaded(self) -> Any:
        """The working object, loaded once for all checks."""
        return self.load(self.runtime)

    def load(self, *context: Any) -> Any:
        """Load the card, or skip where it says that it cannot work here."""
        unavailable = getattr(self.card, "unavailable", None)
        if reason := self.entry.unavailable or (resolve(unavailable)() if unavailable else ""):
            raise SkipTest(f"{self.entry.kind} {self.card.name!r} cannot run here: {reason}")
        return resolve(self.card.load)(self.validated, *context)

    def hold(self, claim: bool, otherwise: str) -> None:
        """Raise ContractViolation unless the claim holds."""
        if not claim:
            raise ContractViolation(f"{self.entry.kind} {self.card.name!r}: {otherwise}")


@dataclass(frozen=True)
class Check:
    """One claim about one card. Call it; it raises where the claim does not hold."""

    claim: Callable[[Subject], None]
    subject: Subject

    def __call__(self) -> None:
        """Check the claim."""
        self.claim(self.subject)

    def __str__(self) -> str:
        return self.claim.__name__


def checks(
    kind: str,
    card: str | Card,
    *,
    catalog: Catalog | None = None,
    options: Mapping[str, Any] | None = None,
    device: str = "cpu",
) -> list[Check]:
    """List the checks of one card, given itself or by name. options: the card's `test_options` by default.

    Raises:
        UnknownName: there is no such kind, or no installed plugin offers the name.
    """
    if kind not in CARD_TYPES:
        raise UnknownName(f"no kind of card called {kind!r}{nearest(kind, CARD_TYPES)}")
    catalog = catalog or discover()
    entry = catalog.entry(kind, card) if isinstance(card, str) else _entry_of(kind, card, catalog)
    subject = Subject(entry, catalog, entry.card.test_options if options is None else options, device)
    return [Check(claim, subject) for claim in (*_EVERY_CARD, *_CLAIMS[kind])]


def check_restorer(card: str | RestorerInfo, **how: Any) -> None:
    """Run every check of a restorer; `how` is what `checks` takes. So do its siblings for the other kinds."""
    _run_all(checks("restorer", card, **how))


def check_detector(card: str | DetectorInfo, **how: Any) -> None:
    """Run every check of a detector."""
    _run_all(checks("detector", card, **how))


def check_degradation(card: str | DegradationInfo, **how: Any) -> None:
    """Run every check of a degradation."""
    _run_all(checks("degradation", card, **how))


def check_metric(card: str | MetricInfo, **how: Any) -> None:
    """Run every check of a metric."""
    _run_all(checks("metric", card, **how))


def check_dataset(card: str | Card, **how: Any) -> None:
    """Run every check of a dataset; give `options` that point at data where the defaults do not."""
    _run_all(checks("dataset", card, **how))


def _run_all(listed: Sequence[Check]) -> None:
    for check in listed:
        check()


def _entry_of(kind: str, card: Card, catalog: Catalog) -> Entry:
    """Find where a card comes from; one that no plugin offers has no source, so its import is not checked."""
    if not isinstance(card, CARD_TYPES[kind]):
        raise ContractViolation(f"a {kind} needs a {CARD_TYPES[kind].__name__}, got {type(card).__name__}")
    known = (entry for entry in catalog.of(kind) if entry.card == card)
    return next(known, Entry(kind, card, plugin="", source=""))


# ---------------------------------------------------------------- every card


def card_is_inert(subject: Subject) -> None:
    """Import the plugin in a fresh process, as `restorebench list` does: no torch, numpy, scipy or pandas."""
    if not subject.entry.source:
        return
    code = (
        "import json, sys; from restorebench.catalog import discover; "
        f"broken = discover(only=[{subject.entry.source!r}]).broken; "
        f"heavy = [name for name in {_HEAVY!r} if name in sys.modules]; "
        "print(json.dumps([heavy, [plugin.reason for plugin in broken]]))"
    )
    paths = os.pathsep.join(path for path in sys.path if path)
    answer = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    heavy, broken = json.loads(answer.stdout.splitlines()[-1])
    subject.hold(not broken, f"its plugin is broken: {broken}")
    subject.hold(not heavy, f"its plugin imports {', '.join(heavy)}; import them in what `load` names")


def options_are_documented(subject: Subject) -> None:
    """Options refuse unknown keys; each has a description, and a default unless `test_options` gives one."""
    if subject.card.options is None:
        return
    model = resolve(subject.card.options)
    forbids = model.model_config.get("extra") == "forbid"
    subject.hold(forbids, "its options must refuse unknown keys: derive them from toolbox.options.PluginOptions")
    for name, field in model.model_fields.items():
        subject.hold(bool(field.description), f"option {name!r} needs a description")
        optional = not field.is_required() or name in subject.options
        subject.hold(optional, f"option {name!r} needs a default, or a value in test_options")


def options_fit(subject: Subject) -> None:
    """The options under test validate; nothing is loaded yet."""
    try:
        validated_options(subject.card, subject.options)
    except ValueError as error:  # pydantic's is one
        raise ContractViolation(f"{subject.card.name!r} refuses the options {subject.options}: {error}") from error


# ---------------------------------------------------------------- restorers


def restores_every_size(subject: Subject) -> None:
    """Blind and told each task, any size comes back with its shape, dtype and device, finite, input unwritten."""
    for height, width in SIZES:
        for told in _tellings(subject):
            _restored(subject, _batch(subject, height, width, [told]))


def repeats_itself(subject: Subject) -> None:
    """The same batch with the same keys gives the same bytes."""
    batch = _mixed_batch(subject)
    first, second = (_restored(subject, batch).images for _ in range(2))
    subject.hold(
        bool((first == second).all()),
        f"the same batch and keys gave pixels that differ by up to {_difference(first, second):.2g}; "
        "draw from batch.keys (toolbox.seeding.normal), never from a global generator",
    )


def restores_each_image_alone(subject: Subject) -> None:
    """An image restored in a batch is the image restored alone, within BATCH_TOLERANCE."""
    batch = _mixed_batch(subject)
    together = _restored(subject, batch).images
    for place, told in enumerate(batch.told):
        single = _batch(subject, *batch.full_size, [told], first=place)
        change = _difference(_restored(subject, single).images, together[place : place + 1])
        subject.hold(
            change <= BATCH_TOLERANCE,
            f"image {place} of a batch differs by {change:.2g} from itself restored alone; "
            f"at most {BATCH_TOLERANCE:g} is allowed, so no statistics over the batch",
        )


def follows_its_keys(subject: Subject) -> None:
    """Other keys change the result exactly where the card says `stochastic=True`."""
    batch = _mixed_batch(subject)
    other = _batch(subject, *batch.full_size, batch.told, key=1000)
    change = _difference(_restored(subject, batch).images, _restored(subject, other).images)
    if subject.card.stochastic:
        subject.hold(change > 0, "the card says stochastic=True, but other keys gave the same result")
    else:
        subject.hold(
            change == 0,
            f"the card says stochastic=False, but other keys changed the result by up to {change:.2g}",
        )


def tiles_as_it_says(subject: Subject) -> None:
    """Where the card says Tiling.ALLOWED, tiles change a smooth image by no more than TILING_TOLERANCE."""
    if subject.card.tiling is not Tiling.ALLOWED:
        return
    multiple = subject.card.multiple_of
    tile = -(-max(64, 2 * multiple) // multiple) * multiple
    batch = _batch(subject, 2 * tile + 32, 2 * tile + 32, _tellings(subject)[:1])
    change = _difference(_restored(subject, batch).images, _restored(subject, batch, tile, 32).images)
    subject.hold(
        change <= TILING_TOLERANCE,
        f"the card says Tiling.ALLOWED, but tiles of {tile} px changed a pixel by {change:.2g}; "
        f"at most {TILING_TOLERANCE:g} is allowed, else say Tiling.HARMFUL",
    )


def _restored(subject: Subject, batch: Batch, tile: int | None = None, overlap: int = 0) -> Restored:
    """Restore as a worker does: padded, watched, and cut back to size."""
    from restorebench.worker import restoring

    try:
        result = restoring.restore(subject.loaded, subject.card, batch, tile, overlap)
    except ContractViolation as error:
        count, (height, width) = len(batch.told), batch.full_size
        raise ContractViolation(
            f"restorer {subject.card.name!r}: {error} (given {count} images of {height} x {width} px)"
        ) from error
    subject.hold(not result.fallback, f"ran out of memory on {batch.full_size} px: {result.fallback}")
    return result


def _tellings(subject: Subject) -> list[Detection | None]:
    """Return what a restorer may be told: nothing, nothing found, or one task each."""
    blind: list[Detection | None] = [] if subject.card.needs_task else [None, Detection(frozenset())]
    return blind + [Detection(frozenset({task}), {task: 1.0}) for task in subject.card.tasks or TEN_NAMES]


def _mixed_batch(subject: Subject) -> Batch:
    """Make a batch in which every image is another one and is told something else."""
    return _batch(subject, 40, 24, _tellings(subject))


def _batch(
    subject: Subject,
    height: int,
    width: int,
    told: Sequence[Detection | None],
    *,
    first: int = 0,
    key: int = 0,
) -> Batch:
    places = range(first, first + len(told))
    return Batch(
        degraded=_images(subject, height, width, places, noise=0.02),
        told=tuple(told),
        keys=tuple(key + place for place in places),
        full_size=(height, width),
        clean=_images(subject, height, width, places) if subject.card.yardstick else None,
    )


# ---------------------------------------------------------------- detectors


def detects_every_size(subject: Subject) -> None:
    """One Detection per image of any size: probabilities in [0, 1], labels of the vocabulary, images unwritten."""
    for height, width in SIZES:
        _detected(subject, _images(subject, height, width, range(2), noise=0.02))


def detects_each_image_alone(subject: Subject) -> None:
    """An image judged in a batch is the image judged alone, and again."""
    images = _images(subject, 40, 24, range(3), noise=0.1)
    for place, together in enumerate(_detected(subject, images)):
        (alone,) = _detected(subject, images[place : place + 1])
        subject.hold(
            alone.labels == together.labels,
            f"image {place} of a batch is {sorted(together.labels)}, alone it is {sorted(alone.labels)}",
        )
        for name, value in together.probabilities.items():
            change = abs(float(value) - float(alone.probabilities.get(name, math.inf)))
            subject.hold(
                change <= BATCH_TOLERANCE,
                f"probability of {name} of image {place} differs by {change:.2g} between batch and single",
            )


def _detected(subject: Subject, images: Tensor) -> Sequence[Detection]:
    """Detect as a worker does, and hold the answer to the contract."""
    import torch

    before = images.clone()
    with torch.no_grad():
        found = list(subject.loaded.detect(images))
    subject.hold(torch.equal(before, images), "detect wrote into its images; work on a copy")
    subject.hold(len(found) == len(images), f"detect returned {len(found)} detections for {len(images)} images")
    vocabulary = {*subject.card.tasks, CLEAN}
    for detection in found:
        known = isinstance(detection, Detection)
        subject.hold(known, f"detect returned {type(detection).__name__}, expected a Detection")
        strange = sorted({*detection.labels, *detection.probabilities} - vocabulary) if subject.card.tasks else []
        subject.hold(not strange, f"detect named {strange}, which are not in the card's tasks")
        for name, value in detection.probabilities.items():
            subject.hold(0 <= float(value) <= 1, f"detect gave {name} probability {value}, outside [0, 1]")
    return found


# ---------------------------------------------------------------- degradations


def degrades_every_size(subject: Subject) -> None:
    """Every severity of any size gives float32 (H, W, 3) in [0, 1], JSON-ready parameters, float32 maps."""
    import numpy as np

    for height, width in SIZES:
        clean = _photograph(height, width)
        before = clean.copy()
        for severity in range(1, 6):
            degraded = _degraded(subject, clean, severity)
            subject.hold(np.array_equal(before, clean), "degrade wrote into the clean image; work on a copy")
            _hold_image(subject, degraded.image, (height, width), f"severity {severity} gave an image")
            _hold_json(subject, degraded.parameters)
            for name, values in degraded.maps.items():
                sound = values.dtype == np.float32 and values.ndim in (2, 3) and bool(np.isfinite(values).all())
                subject.hold(sound, f"map {name!r} must be finite float32 of two or three axes")


def degrades_by_its_generator_alone(subject: Subject) -> None:
    """Equal generators give equal pixels, maps and parameters."""
    import numpy as np

    clean = _photograph(40, 24)
    first, second = (_degraded(subject, clean, 3) for _ in range(2))
    subject.hold(
        np.array_equal(first.image, second.image) and dict(first.parameters) == dict(second.parameters),
        "equal generators gave different results; draw from `rng` alone",
    )
    same_maps = first.maps.keys() == second.maps.keys() and all(
        np.array_equal(values, second.maps[name]) for name, values in first.maps.items()
    )
    subject.hold(same_maps, "equal generators gave different maps; draw from `rng` alone")


def presets_fit(subject: Subject) -> None:
    """Each preset validates; `severity` beside the options says which severity it stands for."""
    for name, preset in subject.card.presets.items():
        options = dict(preset)
        severity = options.pop("severity", 3)
        subject.hold(severity in range(1, 6), f"preset {name!r} has severity {severity}, outside 1 to 5")
        try:
            validated_options(subject.card, {**subject.options, **options})
        except ValueError as error:
            raise ContractViolation(f"preset {name!r} of {subject.card.name!r} does not fit: {error}") from error


def _degraded(subject: Subject, clean: Image, severity: int) -> Degraded:
    import numpy as np

    degraded = subject.loaded.degrade(clean, severity, np.random.default_rng(severity))
    found = type(degraded).__name__
    subject.hold(isinstance(degraded, Degraded), f"degrade returned {found}, expected a Degraded")
    result: Degraded = degraded
    return result


# ---------------------------------------------------------------- metrics


def scores_clean_images_best(subject: Subject) -> None:
    """Under every protocol, a clean image beats one with a little noise, and that one beats one with much."""
    for protocol in subject.card.protocols:
        metric = subject.load(subject.runtime, protocol)
        clean, slight, strong = (_prepared(subject, protocol, level) for level in (0.0, 0.02, 0.2))
        best, middle, worst = (_scores(subject, metric, images, clean) for images in (clean, slight, strong))
        sign = 1 if subject.card.higher_is_better else -1
        ordered = bool((sign * best >= sign * middle).all() and (sign * middle > sign * worst).all())
        subject.hold(
            ordered,
            f"with higher_is_better={subject.card.higher_is_better} under {protocol.name!r}, clean, slightly and "
            f"strongly noisy images must be ordered, got {best.tolist()}, {middle.tolist()}, {worst.tolist()}",
        )


def scores_each_image_alone(subject: Subject) -> None:
    """A pair scored in a batch has the score it has alone."""
    tolerance = 1e-4 if subject.card.network else SCORE_TOLERANCE
    for protocol in subject.card.protocols:
        metric = subject.load(subject.runtime, protocol)
        clean, noisy = (_prepared(subject, protocol, level) for level in (0.0, 0.1))
        together = _scores(subject, metric, noisy, clean)
        for place in range(len(clean)):
            one = slice(place, place + 1)
            change = _difference(_scores(subject, metric, noisy[one], clean[one]), together[one])
            subject.hold(
                change <= tolerance,
                f"the score of pair {place} under {protocol.name!r} differs by {change:.2g} between batch and "
                f"single; at most {tolerance:g} is allowed",
            )


def _prepared(subject: Subject, protocol: ScoringProtocol, noise: float) -> Tensor:
    """Make two images as the protocol prepares them, at least as large as the metric's minimum."""
    from restorebench.toolbox import scoring

    side = max(48, subject.card.minimum_size) + 2 * protocol.crop_border + protocol.crop_multiple
    images = _images(subject, side, side, range(2), noise=noise)
    return scoring.prepare(images, protocol, network=subject.card.network)


def _scores(subject: Subject, metric: Metric, restored: Tensor, clean: Tensor) -> Tensor:
    import torch

    arguments = [restored, clean]
    if subject.card.needs_map is not None:
        marked = torch.zeros_like(clean[:, :1])
        marked[..., ::2] = 1
        arguments.append(marked)
    with torch.no_grad():
        scores = metric(*arguments)
    expected = torch.float32 if subject.card.network and scores.dtype == torch.float32 else torch.float64
    subject.hold(
        tuple(scores.shape) == (len(clean),) and scores.dtype == expected,
        f"a metric returns (B,) float64, got {tuple(scores.shape)} {scores.dtype} for B = {len(clean)}",
    )
    subject.hold(not bool(scores.isnan().any()), "it gave NaN")
    return scores.double().cpu()


# ---------------------------------------------------------------- datasets


def indexes_what_it_holds(subject: Subject) -> None:
    """The index is the same twice, its ids are unique, and it is as long as the dataset."""
    for task in _tasks_held(subject):
        index, data = _index(subject, task), _data(subject, task)
        subject.hold(index == _index(subject, task), f"two calls of index for {task} differ")
        subject.hold(len(index) == len(data), f"index of {task} has {len(index)} samples, data {len(data)}")
        ids = [info.id for info in index]
        subject.hold(len(set(ids)) == len(ids), f"sample ids of {task} are not unique")
        for info in index:
            sound = info.kind in _KINDS_OF_SAMPLE and bool(info.scene) and len(info.digest) == 64
            subject.hold(sound, f"{info} needs a scene, a sha256 hex digest and one of {_KINDS_OF_SAMPLE}")


def gives_what_it_indexes(subject: Subject) -> None:
    """Samples have the indexed size, are float32 in [0, 1], and depend on their place alone."""
    import numpy as np

    for task in _tasks_held(subject):
        index, data, again = _index(subject, task), _data(subject, task), _data(subject, task)
        places = range(min(2, len(index)))
        samples: dict[int, Sample] = {place: data[place] for place in places}
        for place in reversed(places):
            sample, info = samples[place], index[place]
            _hold_image(subject, sample.degraded, (info.height, info.width), f"{task}, {info.id}: degraded")
            if sample.clean is not None:
                _hold_image(subject, sample.clean, (info.height, info.width), f"{task}, {info.id}: clean")
            _hold_json(subject, sample.parameters)
            same = np.array_equal(sample.degraded, again[place].degraded)
            subject.hold(same, f"{task}, {info.id}: read in another order, it has other pixels")


def _tasks_held(subject: Subject) -> list[str]:
    """List the tasks a dataset answers for; two of them, and `clean`, are enough to tell."""
    held = [task for task in (*TEN_NAMES, CLEAN) if _index(subject, task)]
    subject.hold(bool(held), "it holds no sample of any task; give `options` that point at data")
    single = [task for task in held if components(task)]
    return [*single[:2], *(task for task in held if not components(task))]


def _request(subject: Subject, task: str) -> DataRequest:
    return DataRequest(task, 0, {}, subject.catalog.find)


def _index(subject: Subject, task: str) -> list[SampleInfo]:
    return list(resolve(subject.card.index)(subject.validated, _request(subject, task)))


def _data(subject: Subject, task: str) -> Any:
    return subject.load(_request(subject, task))


# ---------------------------------------------------------------- reporters


def loads(subject: Subject) -> None:
    """It loads without a runtime, and writes."""
    subject.hold(
        callable(getattr(subject.load(None), "write", None)), "what it loads has no `write(tables, folder)`"
    )


# ---------------------------------------------------------------- images and helpers


def _images(subject: Subject, height: int, width: int, places: range, noise: float = 0.0) -> Tensor:
    """Make smooth images (B, 3, H, W) float32 in [0, 1], one per place, the same wherever they are asked for."""
    import numpy as np
    import torch

    stacked = np.stack([_photograph(height, width, place, noise) for place in places])
    return torch.from_numpy(stacked).permute(0, 3, 1, 2).contiguous().to(subject.device)


def _photograph(height: int, width: int, place: int = 0, noise: float = 0.0) -> Image:
    """Make a smooth (H, W, 3) float32 image: a ramp with waves, other ones for every place."""
    import numpy as np

    rows, columns = np.mgrid[0:height, 0:width]
    ramp = 0.25 + 0.5 * (rows / max(height - 1, 1) + columns / max(width - 1, 1)) / 2
    waves = [np.sin((rows * (channel + 1) + columns * (place + 1)) / 9) for channel in range(3)]
    image = np.stack([ramp + 0.15 * wave for wave in waves], axis=-1)  # (H, W, 3)
    drawn = np.random.default_rng(place).normal(0, noise, image.shape) if noise else 0.0
    smooth: Image = np.clip(image + drawn, 0, 1).astype(np.float32)
    return smooth


def _difference(one: Tensor, other: Tensor) -> float:
    """Return the largest absolute difference; equal infinities do not differ."""
    change = (one.double() - other.double()).abs()
    return float(change.masked_fill(one == other, 0).max())


def _hold_image(subject: Subject, image: np.ndarray[Any, Any], size: tuple[int, int], what: str) -> None:
    import numpy as np

    shaped = image.shape == (*size, 3) and image.dtype == np.float32
    subject.hold(shaped, f"{what} of {image.shape} {image.dtype}, expected {(*size, 3)} float32")
    inside = bool(np.isfinite(image).all()) and float(image.min()) >= 0 and float(image.max()) <= 1
    subject.hold(inside, f"{what} with values that are not finite or leave [0, 1]")


def _hold_json(subject: Subject, parameters: Mapping[str, Any]) -> None:
    try:
        json.dumps(dict(parameters), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ContractViolation(
            f"{subject.entry.kind} {subject.card.name!r}: parameters must be JSON-ready: {error}"
        ) from error


_EVERY_CARD = (card_is_inert, options_are_documented, options_fit)
_CLAIMS: Mapping[str, tuple[Callable[[Subject], None], ...]] = {
    "restorer": (
        restores_every_size,
        repeats_itself,
        restores_each_image_alone,
        follows_its_keys,
        tiles_as_it_says,
    ),
    "detector": (detects_every_size, detects_each_image_alone),
    "degradation": (degrades_every_size, degrades_by_its_generator_alone, presets_fit),
    "metric": (scores_clean_images_best, scores_each_image_alone),
    "dataset": (indexes_what_it_holds, gives_what_it_indexes),
    "reporter": (loads,),
}
