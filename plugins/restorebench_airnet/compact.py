"""The small network that comes with the package: `airnet-compact`."""

from __future__ import annotations

from pathlib import Path

from restorebench import Runtime
from restorebench.toolbox import weights
from restorebench_airnet.options import AirNetRestoration, CompactRestoration
from restorebench_airnet.restorers import AirNetRestorer

WEIGHTS = Path(__file__).with_name("weights") / "compact.safetensors"


def load_restorer(options: CompactRestoration, runtime: Runtime) -> AirNetRestorer:
    """Load the small network."""
    given = AirNetRestoration(weights=weights.shipped(WEIGHTS), **options.model_dump())
    return AirNetRestorer(given, runtime)
