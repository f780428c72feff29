"""restorebench: compare image restoration methods per degradation.

Importing this package is cheap: it brings what a plugin needs. `run`, `score`, `restore`, `detect`,
`degrade`, `discover` (which plugins are there?) and `synthesisers` are loaded when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from restorebench.contracts import (
    Batch,
    DataRequest,
    Dataset,
    DatasetInfo,
    Degradation,
    DegradationInfo,
    Degraded,
    Detection,
    Detector,
    DetectorInfo,
    Metric,
    MetricInfo,
    Reporter,
    ReporterInfo,
    Restorer,
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
    resolve,
)
from restorebench.errors import (
    ContractViolation,
    Fallback,
    MissingResource,
    RestorebenchError,
    UnknownName,
    UnreadableImage,
    nearest,
)
from restorebench.hookspecs import hookimpl
from restorebench.tasks import CLEAN, TEN, TEN_NAMES, Task, components, composite

if TYPE_CHECKING:
    from restorebench.contracts import Image as Image  # for annotations: there is nothing to import at run time

__version__ = "0.1.0"

__all__ = [
    "CLEAN",
    "TEN",
    "TEN_NAMES",
    "Batch",
    "ContractViolation",
    "DataRequest",
    "Dataset",
    "DatasetInfo",
    "Degradation",
    "DegradationInfo",
    "Degraded",
    "Detection",
    "Detector",
    "DetectorInfo",
    "Fallback",
    "Metric",
    "MetricInfo",
    "MissingResource",
    "Reporter",
    "ReporterInfo",
    "RestorebenchError",
    "Restorer",
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
    "nearest",
    "resolve",
]

_LATE = dict.fromkeys(("degrade", "detect", "restore", "run"), "restorebench.oneoff")
_LATE |= {"score": "restorebench.scores", "calibrate": "restorebench.calibration"}
_LATE |= dict.fromkeys(("discover", "synthesisers"), "restorebench.catalog")


def __getattr__(name: str) -> Any:
    """Load the Python side of a command on first use, so that plugins import none of it."""
    if name in _LATE:
        return getattr(import_module(_LATE[name]), name)
    raise AttributeError(f"module 'restorebench' has no attribute {name!r}")
