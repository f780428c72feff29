"""restorebench: compare image restoration methods per degradation.

Importing this package is cheap: it brings what a plugin needs. `run`, `score`, `restore`, `detect` and
`degrade` are loaded when they are first used.
"""

from __future__ import annotations

from typing import Any

from restorebench.contracts import (
    Batch,
    DataRequest,
    DatasetInfo,
    DegradationInfo,
    Degraded,
    Detection,
    DetectorInfo,
    MetricInfo,
    ReporterInfo,
    RestorerInfo,
    Runtime,
    Sample,
    SampleInfo,
    ScoringProtocol,
    Space,
    Stage,
    Tiling,
    Training,
    WeightFile,
)
from restorebench.errors import (
    ContractViolation,
    MissingResource,
    RestorebenchError,
    UnknownName,
    UnreadableImage,
)
from restorebench.hookspecs import hookimpl
from restorebench.tasks import CLEAN, TEN, TEN_NAMES, Task, components, composite

__version__ = "0.1.0"

__all__ = [
    "CLEAN",
    "TEN",
    "TEN_NAMES",
    "Batch",
    "ContractViolation",
    "DataRequest",
    "DatasetInfo",
    "DegradationInfo",
    "Degraded",
    "Detection",
    "DetectorInfo",
    "MetricInfo",
    "MissingResource",
    "ReporterInfo",
    "RestorebenchError",
    "RestorerInfo",
    "Runtime",
    "Sample",
    "SampleInfo",
    "ScoringProtocol",
    "Space",
    "Stage",
    "Task",
    "Tiling",
    "Training",
    "UnknownName",
    "UnreadableImage",
    "WeightFile",
    "components",
    "composite",
    "hookimpl",
]

_COMMANDS = ("degrade", "detect", "restore", "run", "score")


def __getattr__(name: str) -> Any:
    """Load the Python side of a command on first use, so that plugins import none of it."""
    if name in _COMMANDS:
        from restorebench import oneoff

        return getattr(oneoff, name)
    raise AttributeError(f"module 'restorebench' has no attribute {name!r}")
