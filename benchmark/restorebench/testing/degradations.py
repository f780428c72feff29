"""Claims about degradations: sizes, severities, randomness and presets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from restorebench.contract.values import Degraded
from restorebench.testing.subject import SIZES, Subject, hold_image, hold_json, photograph
from restorebench.toolbox.options import validated_options

if TYPE_CHECKING:
    from restorebench.contract.values import Image


def degrades_every_size(subject: Subject) -> None:
    """Every severity gives float32 (H, W, 3) in [0, 1], JSON-ready parameters and float32 maps, for any size."""
    import numpy as np

    for height, width in SIZES:
        clean = photograph(height, width)
        before = clean.copy()
        for severity in range(1, 6):
            degraded = _degraded(subject, clean, severity)
            subject.hold(np.array_equal(before, clean), "degrade wrote into the clean image; work on a copy")
            hold_image(subject, degraded.image, (height, width), f"severity {severity} gave an image")
            hold_json(subject, degraded.parameters)
            for name, values in degraded.maps.items():
                sound = values.dtype == np.float32 and values.ndim in (2, 3) and bool(np.isfinite(values).all())
                subject.hold(sound, f"map {name!r} must be finite float32 of two or three axes")


def degrades_by_its_generator_alone(subject: Subject) -> None:
    """Equal generators give equal pixels, maps and parameters."""
    import numpy as np

    clean = photograph(40, 24)
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
    """Each preset has valid options, and its `severity`, if given beside them, is in 1 to 5."""
    for name, preset in subject.card.presets.items():
        options = dict(preset)
        severity = options.pop("severity", 3)
        subject.hold(severity in range(1, 6), f"preset {name!r} has severity {severity}, outside 1 to 5")
        try:
            validated_options(subject.card, {**subject.options, **options})
        except ValueError as error:
            raise subject.violation(f"preset {name!r} does not fit: {error}") from error


def _degraded(subject: Subject, clean: Image, severity: int) -> Degraded:
    import numpy as np

    degraded = subject.loaded.degrade(clean, severity, np.random.default_rng(severity))
    found = type(degraded).__name__
    subject.hold(isinstance(degraded, Degraded), f"degrade returned {found}, expected a Degraded")
    result: Degraded = degraded
    return result


CLAIMS = (
    degrades_every_size,
    degrades_by_its_generator_alone,
    presets_fit,
)
