"""The published files that the options of a restorer or detector need."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from restorebench import WeightFile
from restorebench_daclip.published import PUBLISHED

if TYPE_CHECKING:
    from restorebench_daclip.options import DACLIPDetection, DACLIPRestoration


def restorer_files(options: DACLIPRestoration) -> Sequence[WeightFile]:
    """List the published files that `daclip-irsde` needs."""
    return PUBLISHED[options.weights].files if options.weights in PUBLISHED else ()


def detector_files(options: DACLIPDetection) -> Sequence[WeightFile]:
    """List the published file that the detector needs."""
    return (PUBLISHED[options.weights].controller,) if options.weights in PUBLISHED else ()
