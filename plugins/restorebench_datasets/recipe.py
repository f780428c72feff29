"""Which degradation a synthetic task is made with, under which options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from restorebench import TEN, DataRequest, DegradationInfo, RestorebenchError, Runtime, components
from restorebench.contracts import Degradation, resolve
from restorebench.errors import nearest
from restorebench_datasets.options import Synthetic

COMPOSITE = "composite"
"""Name of the degradation that applies several others: `{"parts": [{"name", "options"}, ...], "order"}`."""

_BORROWED = {"rainy": ("heavy", "hazy"), "snowy": ("veil", "hazy")}
"""Degradations that run another one's code under an option: {name: (option, the other)}."""

_PRESET_SEVERITY = 3  # the middle, for a preset that does not say which severity it stands for


@dataclass(frozen=True)
class Recipe:
    """A degradation with validated options.

    versions: card name to version, of all that take part. severity: what a preset stands for, else None.
    """

    card: DegradationInfo
    options: Any  # the card's own model, or None
    versions: Mapping[str, str]
    severity: int | None

    def facts(self) -> dict[str, Any]:
        """Return what decides the pixels, JSON-ready, with the defaults filled in."""
        dumped = None if self.options is None else self.options.model_dump(mode="json")
        return {"degradation": self.card.name, "options": dumped, "versions": dict(self.versions)}

    def load(self, request: DataRequest) -> Degradation:
        """Load the degradation for a CPU: it works on numpy arrays and needs neither device nor cache."""
        runtime = Runtime("cpu", 1, Path(), request.roots, True, TEN, request.find)
        degradation: Degradation = resolve(self.card.load)(self.options, runtime)
        return degradation


def choose(options: Synthetic, request: DataRequest) -> Recipe:
    """Find the degradation of a task and validate its explicit options or its preset.

    Raises:
        UnknownName: no plugin provides the degradation, or one that has explicit options.
        RestorebenchError: an option does not fit, or the preset is not one of the degradation's.
    """
    for name in options.degradations:
        request.find("degradation", name)  # options for a misspelt degradation must not go unheard
    names = components(request.task)
    parts: list[DegradationInfo] = [request.find("degradation", name) for name in names]
    if len(parts) == 1:
        explicit, severity = _explicit(options, parts[0])
        validated = _part(parts[0], explicit, options)
        return Recipe(parts[0], validated, _versions(request, [(parts[0], validated)]), severity)
    if options.preset is not None:
        raise RestorebenchError(
            f"preset {options.preset!r} is for single degradations; for {request.task} give `severities`, "
            "and `degradations` for explicit options of its parts"
        )
    card: DegradationInfo = request.find("degradation", COMPOSITE)
    given = {name: dict(options.degradations.get(name, {})) for name in names}
    taking_part = [(part, _part(part, given[part.name], options)) for part in parts]
    listed = [{"name": name, "options": given[name]} for name in names]
    versions = _versions(request, [(card, None), *taking_part])
    return Recipe(card, _validated(card, {"parts": listed, "order": options.order}), versions, None)


def _versions(request: DataRequest, taking_part: Sequence[tuple[DegradationInfo, Any]]) -> dict[str, str]:
    """Map the name of each card whose code makes the pixels to its version."""
    versions = {card.name: card.version for card, _ in taking_part}
    for card, validated in taking_part:
        switch, lender = _BORROWED.get(card.name, ("", ""))
        if switch and getattr(validated, switch, False):
            versions[lender] = request.find("degradation", lender).version
    return versions


def _part(card: DegradationInfo, explicit: Mapping[str, Any], options: Synthetic) -> Any:
    """Validate the options of one degradation, also against what is done with its image."""
    validated = _validated(card, explicit)
    if options.quantise == "8bit" and getattr(validated, "clip", True) is False:
        raise RestorebenchError(
            f"options of degradation {card.name!r}: clip: false is undone by `quantise: 8bit`, which clips; "
            "set `quantise: float` in the dataset's options, or leave `clip` out"
        )
    return validated


def _explicit(options: Synthetic, card: DegradationInfo) -> tuple[dict[str, Any], int | None]:
    """Return the options of a single degradation, and the severity where a preset decides it."""
    explicit = dict(options.degradations.get(card.name, {}))
    if options.preset is None:
        return explicit, None
    if explicit:
        raise RestorebenchError(
            f"degradation {card.name!r} is given both explicit options and the preset {options.preset!r}; "
            "remove one of them"
        )
    if options.preset not in card.presets:
        known = ", ".join(sorted(card.presets)) or "none"
        hint = nearest(options.preset, card.presets)
        raise RestorebenchError(
            f"degradation {card.name!r} has no preset {options.preset!r}{hint}; it has: {known}"
        )
    preset = dict(card.presets[options.preset])
    return preset, preset.pop("severity", _PRESET_SEVERITY)


def _validated(card: DegradationInfo, options: Mapping[str, Any]) -> Any:
    if card.options is None:
        if options:
            raise RestorebenchError(f"degradation {card.name!r} takes no options, got {', '.join(options)}")
        return None
    try:
        return resolve(card.options).model_validate(dict(options))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise RestorebenchError(f"options of degradation {card.name!r}: {where}: {first['msg']}") from error
