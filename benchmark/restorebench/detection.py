"""Scores of degradation detectors: accuracy, confusion, false alarms, calibration. Pure functions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from restorebench.records import OK, DetectionRecord
from restorebench.tasks import components, composite

_BINS = 10


@dataclass(frozen=True)
class Scores:
    """How one detector did on one task; on clean inputs `false_alarm` is the figure.

    accuracy: the whole set of labels is right. top1: the most probable task is one of those present.
    precision, recall: over labels. abstained: share of images without a label. calibration_error:
    expected calibration error of the top probability, ten equal bins. A failed detection is a wrong one.
    """

    images: int
    failed: int
    accuracy: float
    top1: float | None
    precision: float | None
    recall: float | None
    abstained: float
    false_alarm: float | None
    truth_probability: float | None
    calibration_error: float | None


def score(task: str, records: Sequence[DetectionRecord]) -> Scores:
    """Score what a detector said about the images of one task."""
    truth = frozenset(components(task))
    worked = [record for record in records if record.status == OK]
    total = len(records) or 1
    hits = sum(len(truth & set(record.labels)) for record in worked)
    named = sum(len(record.labels) for record in worked)
    tops = [(top(record.probabilities), record) for record in worked if record.probabilities]
    probable = [sum(r.probabilities.get(name, 0.0) for name in truth) / len(truth) for r in worked if truth]
    return Scores(
        images=len(records),
        failed=len(records) - len(worked),
        accuracy=sum(frozenset(record.labels) == truth for record in worked) / total,
        top1=sum(name in truth for name, _ in tops) / total if truth else None,
        precision=hits / named if named and truth else None,
        recall=hits / (total * len(truth)) if truth else None,
        abstained=sum(not record.labels for record in worked) / total,
        false_alarm=None if truth else sum(bool(record.labels) for record in worked) / total,
        truth_probability=sum(probable) / len(probable) if probable else None,
        calibration_error=calibration_error(
            [(record.probabilities[name], name in truth) for name, record in tops if truth]
        ),
    )


def top(probabilities: Mapping[str, float]) -> str:
    """Return the most probable task, the first in alphabetical order among equals."""
    return max(sorted(probabilities), key=lambda name: probabilities[name])


def confusion(records: Sequence[DetectionRecord]) -> Counter[str]:
    """Count the verdicts: set-valued names, `clean` for an abstention, `failed` for no answer."""
    return Counter(composite(record.labels) if record.status == OK else "failed" for record in records)


def calibration_error(pairs: Sequence[tuple[float, bool]]) -> float | None:
    """Return the expected calibration error of (confidence, was it right) pairs (Guo et al., ICML 2017)."""
    if not pairs:
        return None
    bins: dict[int, list[tuple[float, bool]]] = {}
    for confidence, right in pairs:
        bins.setdefault(min(int(confidence * _BINS), _BINS - 1), []).append((confidence, right))
    gaps = (abs(sum(c for c, _ in held) - sum(right for _, right in held)) for held in bins.values())
    return sum(gaps) / len(pairs)
