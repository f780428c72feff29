"""The small networks that come with the package: `daclip-compact`, restorer and detector."""

from __future__ import annotations

from pathlib import Path

from restorebench import Runtime
from restorebench.toolbox import weights
from restorebench_daclip.detector import DACLIPDetector
from restorebench_daclip.options import CompactDetection, CompactRestoration, DACLIPDetection, DACLIPRestoration
from restorebench_daclip.restorers import DACLIPIRSDE

_FOLDER = Path(__file__).with_name("weights")
UNET, CONTROLLER = _FOLDER / "compact-restorer.safetensors", _FOLDER / "compact-controller.safetensors"


def load_restorer(options: CompactRestoration, runtime: Runtime) -> DACLIPIRSDE:
    """Load the U-Net with its controller."""
    files = {"weights": weights.shipped(UNET), "controller": weights.shipped(CONTROLLER)}
    given = DACLIPRestoration(**files, **options.model_dump())
    return DACLIPIRSDE(given, runtime)


def load_detector(options: CompactDetection, runtime: Runtime) -> DACLIPDetector:
    """Load the controller as a detector."""
    return DACLIPDetector(DACLIPDetection(weights=weights.shipped(CONTROLLER), **options.model_dump()), runtime)
