"""Everything that can be extended, and nothing outside this file can be.

A hook takes no argument and returns a list of cards. It must be cheap: no torch, no numpy, no file
access. The host calls it once per process, when it makes its catalogue.
"""

from __future__ import annotations

import pluggy

from restorebench.contract.cards import (
    DatasetInfo,
    DegradationInfo,
    DetectorInfo,
    MetricInfo,
    ReporterInfo,
    RestorerInfo,
)

PROJECT = "restorebench"
"""Name of the pluggy project and of the entry-point group."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def restorebench_restorers() -> list[RestorerInfo]:  # type: ignore[empty-body]  # pluggy calls implementations
    """Offer restoration methods."""


@hookspec
def restorebench_detectors() -> list[DetectorInfo]:  # type: ignore[empty-body]  # pluggy calls implementations
    """Offer detectors that say which degradations an image shows."""


@hookspec
def restorebench_degradations() -> list[DegradationInfo]:  # type: ignore[empty-body]  # pluggy calls implementations
    """Offer synthesisers that degrade a clean image."""


@hookspec
def restorebench_datasets() -> list[DatasetInfo]:  # type: ignore[empty-body]  # pluggy calls implementations
    """Offer sources of degraded images with their ground truth."""


@hookspec
def restorebench_metrics() -> list[MetricInfo]:  # type: ignore[empty-body]  # pluggy calls implementations
    """Offer scores of a restored image against its ground truth."""


@hookspec
def restorebench_reporters() -> list[ReporterInfo]:  # type: ignore[empty-body]  # pluggy calls implementations
    """Offer ways to write the tables of a run to files."""
