"""The degradation of a synthetic task, with its options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from restorebench import (
    TEN,
    DataRequest,
    Degradation,
    DegradationInfo,
    RestorebenchError,
    Runtime,
    components,
    resolve,
)
from restorebench.toolbox.contents import Contents
from restorebench.toolbox.options import validated
from restorebench_datasets.options import Synthetic

COMPOSITE = "composite"
"""Name of the degradation that applies several others: `{"parts": [{"name", "options"}, ...], "order"}`."""

_PRESET_SEVERITY = 3  # the middle one, for a preset that does not give its severity


@dataclass(frozen=True)
class Recipe:
    """A degradation with validated options.

    parts: the options of each degradation involved, by name; only one for a single degradation. order: order of
    the parts of a mixture, else None. versions: version of each card involved, by name. severity: that of a
    preset, else None.
    """

    card: DegradationInfo
    options: Any  # the card's own model, or None
    parts: Mapping[str, Any]  # models, or None
    order: str | None
    versions: Mapping[str, str]
    severity: int | None

    def facts(self) -> dict[str, Any]:
        """Return everything that decides the pixels, JSON-ready: options with defaults, files by their content.

        Raises:
            MissingResource: a file that an option names may not be read.
        """
        contents = Contents()
        options = {name: contents.identity(model) for name, model in self.parts.items()}
        return {
            "degradation": self.card.name,
            "options": options,
            "order": self.order,
            "versions": dict(self.versions),
        }

    def load(self, request: DataRequest) -> Degradation:
        """Load the degradation for the CPU: it works on numpy arrays and needs neither device nor cache."""
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
        request.find("degradation", name)  # options of a misspelt degradation must not be ignored
    names = components(request.task)
    parts: list[DegradationInfo] = [request.find("degradation", name) for name in names]
    if len(parts) == 1:
        explicit, severity = _explicit(options, parts[0])
        chosen = _part(parts[0], explicit, options)
        return Recipe(parts[0], chosen, {parts[0].name: chosen}, None, _versions(parts), severity)
    if options.preset is not None:
        raise RestorebenchError(
            f"preset {options.preset!r} is for single degradations; for {request.task} give `severities`, "
            "and `degradations` for explicit options of its parts"
        )
    card: DegradationInfo = request.find("degradation", COMPOSITE)
    given = {name: dict(options.degradations.get(name, {})) for name in names}
    models = {part.name: _part(part, given[part.name], options) for part in parts}
    listed = [{"name": name, "options": given[name]} for name in names]
    mixture = validated(card, {"parts": listed, "order": options.order})
    return Recipe(card, mixture, models, options.order, _versions([card, *parts]), None)


def _versions(cards: Sequence[DegradationInfo]) -> dict[str, str]:
    """Return the versions, by name, of the cards whose code makes the pixels."""
    return {card.name: card.version for card in cards}


def _part(card: DegradationInfo, explicit: Mapping[str, Any], options: Synthetic) -> Any:
    """Validate the options of one degradation, and that they fit the dataset's own options."""
    chosen = validated(card, explicit)
    if options.quantise == "8bit" and getattr(chosen, "clip", True) is False:
        raise RestorebenchError(
            f"options of degradation {card.name!r}: clip: false is undone by `quantise: 8bit`, which clips; "
            "set `quantise: float` in the dataset's options, or leave `clip` out"
        )
    return chosen


def _explicit(options: Synthetic, card: DegradationInfo) -> tuple[dict[str, Any], int | None]:
    """Return the options of a single degradation, and the severity if a preset decides it."""
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
        raise RestorebenchError(f"degradation {card.name!r} has no preset {options.preset!r}; it has: {known}")
    preset = dict(card.presets[options.preset])
    return preset, preset.pop("severity", _PRESET_SEVERITY)
