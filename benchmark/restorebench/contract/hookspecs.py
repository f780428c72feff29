"""All hooks through which plugins extend restorebench; there are no other extension points.

A hook takes no argument and returns a list of cards. It must be cheap: no torch, no numpy, no file
access. The host calls it once per process, when it builds its catalogue.
"""

from __future__ import annotations

import pluggy

from restorebench.contract.cards import (
    DatasetInfo,
    DegradationInfo,
    DetectorInfo,
    FigureInfo,
    MetricInfo,
    ReporterInfo,
    RestorerInfo,
)

PROJECT = "restorebench"
"""The name of the pluggy project and of the entry-point group."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def restorebench_restorers() -> list[RestorerInfo]:  # type: ignore[empty-body]  # pluggy calls implementations
    """Offer restoration methods."""


@hookspec
def restorebench_detectors() -> list[DetectorInfo]:  # type: ignore[empty-body]  # pluggy calls implementations
    """Offer detectors, which name the degradations in an image."""


@hookspec
def restorebench_degradations() -> list[DegradationInfo]:  # type: ignore[empty-body]  # pluggy calls implementations
    """Offer synthesisers, which degrade clean images."""


@hookspec
def restorebench_datasets() -> list[DatasetInfo]:  # type: ignore[empty-body]  # pluggy calls implementations
    """Offer datasets: sources of degraded images with their ground truth."""


@hookspec
def restorebench_metrics() -> list[MetricInfo]:  # type: ignore[empty-body]  # pluggy calls implementations
    """Offer metrics, which compare a restored image with its ground truth."""


@hookspec
def restorebench_reporters() -> list[ReporterInfo]:  # type: ignore[empty-body]  # pluggy calls implementations
    """Offer reporters, which write the tables of a run to files."""


@hookspec
def restorebench_figures() -> list[FigureInfo]:  # type: ignore[empty-body]  # pluggy calls implementations
    """Offer kinds of figures, which are drawn from the tables of a run."""
