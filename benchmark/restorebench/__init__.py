"""restorebench: compare image restoration methods per degradation.

Importing this package is cheap and provides everything that a plugin needs. The functions of the commands, such as
`run`, `score`, `compare`, `show`, `explain`, `plot`, `publish`, `verify` and `restore`, and also `Settings`,
`discover` (find the plugins) and `synthesisers`, are imported when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from restorebench.contract.cards import (
    DatasetInfo,
    DegradationInfo,
    DetectorInfo,
    FigureInfo,
    MetricInfo,
    ReporterInfo,
    RestorerInfo,
    ScoringProtocol,
    Space,
    Stage,
    Tiling,
    Training,
    Variant,
    resolve,
)
from restorebench.contract.errors import (
    ContractViolation,
    Fallback,
    MissingResource,
    RestorebenchError,
    UnknownName,
    UnreadableImage,
    nearest,
)
from restorebench.contract.hookspecs import hookimpl
from restorebench.contract.tasks import CLEAN, TEN, TEN_NAMES, Task, components, composite
from restorebench.contract.values import (
    Batch,
    DataRequest,
    Dataset,
    Degradation,
    Degraded,
    Detection,
    Detector,
    Figure,
    Metric,
    Reporter,
    Restorer,
    Runtime,
    Sample,
    SampleInfo,
    WeightFile,
)

if TYPE_CHECKING:
    from restorebench.contract.values import Image as Image

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
    "Figure",
    "FigureInfo",
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
    "Variant",
    "WeightFile",
    "components",
    "composite",
    "hookimpl",
    "nearest",
    "resolve",
]

_LATE = dict.fromkeys(("degrade", "detect", "restore"), "restorebench.commands.images")
_LATE |= {"run": "restorebench.commands.running", "Settings": "restorebench.suite.settings"}
_LATE |= {"compare": "restorebench.commands.comparing", "diff": "restorebench.commands.differing"}
_LATE |= {"explain": "restorebench.commands.explaining", "plot": "restorebench.commands.plotting"}
_LATE |= {"show": "restorebench.commands.showing"}
_LATE |= {"publish": "restorebench.publishing.publish", "verify": "restorebench.publishing.verify"}
_LATE |= {"read_records": "restorebench.tables.reading"}
_LATE |= dict.fromkeys(("compare_table", "rank_table"), "restorebench.tables.tidy")
_LATE |= {"score": "restorebench.commands.scores", "calibrate": "restorebench.commands.calibration"}
_LATE |= {"discover": "restorebench.contract.catalog", "synthesisers": "restorebench.toolbox.synthesis"}


def __getattr__(name: str) -> Any:
    """Import the Python function of a command at its first use, so that plugins do not import it."""
    if name in _LATE:
        return getattr(import_module(_LATE[name]), name)
    raise AttributeError(f"module 'restorebench' has no attribute {name!r}")
