"""`synthetic`: clean photographs that are degraded here; with the same seed, all restorers get the same pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from restorebench import CLEAN, DataRequest, Sample, SampleInfo
from restorebench.toolbox import images, photographs
from restorebench.toolbox.remembered import file_digest
from restorebench.toolbox.synthesis import centre_crop, generator_for
from restorebench_datasets.options import Synthetic
from restorebench_datasets.recipe import Recipe, choose
from restorebench_datasets.samples import (
    canonical,
    cropped_size,
    digest,
    named_images,
    readable,
    scene,
    sizes,
)

if TYPE_CHECKING:
    from restorebench import Degradation, Image


@dataclass(frozen=True)
class Photograph:
    """A clean image file. height, width: of the whole image."""

    name: str
    path: Path
    height: int
    width: int


@dataclass(frozen=True)
class Shot:
    """One sample to make. label: the part of its id after the @; None for a clean sample."""

    photograph: Photograph
    severity: int = 0
    label: str | None = None

    @property
    def id(self) -> str:
        """The sample's id, such as `astronaut@3`."""
        name = self.photograph.name
        return name if self.label is None else f"{name}@{self.label}"


class SyntheticImages:
    """Samples that are made on demand; item i depends only on the photograph, the options and the suite's seed."""

    def __init__(
        self, shots: Sequence[Shot], options: Synthetic, request: DataRequest, degradation: Degradation | None
    ) -> None:
        self._shots = shots
        self._options = options
        self._request = request
        self._degradation = degradation
        self._last: tuple[Path, Image] | None = None  # decoded once for all severities in a row

    def __len__(self) -> int:
        return len(self._shots)

    def __getitem__(self, index: int) -> Sample:
        shot, crop = self._shots[index], self._options.crop
        whole = self._read(shot.photograph.path)
        clean = centre_crop(whole, crop)
        if self._degradation is None:
            return Sample(clean, clean)
        rng = generator_for(whole, self._request.task, shot.severity, self._request.seed)
        degraded = self._degradation.degrade(whole, shot.severity, rng)
        image = centre_crop(degraded.image, crop)
        if self._options.quantise == "8bit":
            image = images.quantise(image)
        maps = {
            name: centre_crop(values, crop) if values.shape[:2] == whole.shape[:2] else values
            for name, values in degraded.maps.items()
        }
        return Sample(image, clean, {"severity": shot.severity, **degraded.parameters}, maps)

    def _read(self, path: Path) -> Image:
        if self._last is None or self._last[0] != path:
            whole = images.read(path)
            whole.flags.writeable = False  # it is returned more than once
            self._last = (path, whole)
        return self._last[1]


@readable()
def load(options: Synthetic, request: DataRequest) -> SyntheticImages:
    """Load the degradation of one task; images are decoded and degraded when an item is asked for."""
    request = replace(request, task=canonical(request.task))
    if request.task == CLEAN:
        return SyntheticImages(_shots(options, None), options, request, None)
    recipe = choose(options, request)
    return SyntheticImages(_shots(options, recipe), options, request, recipe.load(request))


@readable()
def index(options: Synthetic, request: DataRequest) -> list[SampleInfo]:
    """List the samples of one task, by photograph and then by severity, from headers and bytes."""
    request = replace(request, task=canonical(request.task))
    recipe = None if request.task == CLEAN else choose(options, request)
    common = {"task": request.task, "crop": options.crop}
    if recipe is not None:
        common |= {"seed": request.seed, "quantise": options.quantise, **recipe.facts()}
    shots = _shots(options, recipe)
    files = {path: file_digest(path) for path in {shot.photograph.path for shot in shots}}
    return [
        SampleInfo(
            shot.id,
            *cropped_size(shot.photograph.height, shot.photograph.width, options.crop),
            digest(file=files[shot.photograph.path], severity=shot.severity, label=shot.label, **common),
            scene(files[shot.photograph.path]),
            "synthetic",
        )
        for shot in shots
    ]


def _shots(options: Synthetic, recipe: Recipe | None) -> list[Shot]:
    """List the samples to make, for each photograph: a clean one, one for the preset, or one per severity."""
    pictures = _photographs(options)
    if recipe is None:
        return [Shot(photograph) for photograph in pictures]
    if recipe.severity is not None:
        return [Shot(photograph, recipe.severity, options.preset) for photograph in pictures]
    return [
        Shot(photograph, severity, str(severity)) for photograph in pictures for severity in options.severities
    ]


def _photographs(options: Synthetic) -> list[Photograph]:
    files = photographs.embedded() if options.clean == "embedded" else named_images(options.clean)
    known = sizes(files.values(), options.crop)
    return [Photograph(name, path, *known[path]) for name, path in files.items()]
