"""Scores of degradation detectors: accuracy, confusion, false alarms, calibration. Pure functions."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from restorebench.contract.tasks import CLEAN, components, composite
from restorebench.records import OK, DetectionRecord

_BINS = 15
NONE = "none"
"""The verdict of a detector that named no degradation."""


@dataclass(frozen=True)
class DetectorScores:
    """The scores of one detector on one task; on clean inputs, `false_alarm` is the main one.

    accuracy: share of images whose set of labels is exactly right. top1: share whose most probable task is
    present; without probabilities, the first label counts. precision, recall, f1: over labels. abstained: share of
    images without a label. truth_probability, calibration_error (of the top probability, see the function), brier
    (of one degradation, not of a mixture): over the images that have probabilities. A failed detection counts as
    wrong. None if there is nothing to judge, such as for a task that was not run.
    """

    images: int
    failed: int
    accuracy: float | None
    top1: float | None
    precision: float | None
    recall: float | None
    f1: float | None
    abstained: float | None
    false_alarm: float | None
    truth_probability: float | None
    calibration_error: float | None
    brier: float | None


@dataclass(frozen=True)
class LabelScores:
    """The scores of one detector on one label, over all its images, including clean ones and composites.

    present: number of images with the degradation. named: number of images for which the detector names it.
    precision is None if it was never named, recall and f1 are None if it was never present.
    """

    label: str
    present: int
    named: int
    precision: float | None
    recall: float | None
    f1: float | None


def score(task: str, records: Sequence[DetectionRecord]) -> DetectorScores:
    """Score the records of a detector on the images of one task."""
    truth = frozenset(components(task))
    worked = [record for record in records if record.status == OK]
    tops = [name for record in worked if (name := top(record)) is not None]
    graded = _with_probabilities(task, records)
    hits = sum(len(truth & set(record.labels)) for record in worked)
    named = sum(len(record.labels) for record in worked) if truth else 0
    present = len(records) * len(truth)
    probable = sum(record.probabilities.get(name, 0.0) for record in graded for name in truth)
    return DetectorScores(
        images=len(records),
        failed=len(records) - len(worked),
        accuracy=_share(sum(is_right(task, record) for record in records), len(records)),
        top1=_share(sum(name in truth for name in tops), len(records)) if truth else None,
        precision=_share(hits, named),
        recall=_share(hits, present),
        f1=_f1(hits, named, present),
        abstained=_share(sum(not record.labels for record in worked), len(records)),
        false_alarm=None if truth else _share(sum(bool(record.labels) for record in worked), len(records)),
        truth_probability=_share(probable, len(graded) * len(truth)),
        calibration_error=calibration_error(confidences(task, records)),
        brier=brier(task, records),
    )


def is_right(task: str, record: DetectionRecord) -> bool:
    """Tell whether the labels are exactly those of the task; a failed detection is wrong."""
    return record.status == OK and frozenset(record.labels) == frozenset(components(task))


def by_label(tasks: Sequence[tuple[str, Sequence[DetectionRecord]]]) -> list[LabelScores]:
    """Score each label over several tasks, in the order of `tasks.composite`; failed detections name nothing."""
    hits: Counter[str] = Counter()
    named: Counter[str] = Counter()
    present: Counter[str] = Counter()
    for task, records in tasks:
        truth = set(components(task))
        for record in records:
            labels = set(record.labels) if record.status == OK else set()
            hits.update(truth & labels)
            named.update(labels)
            present.update(truth)
    labels = {*named, *present}
    return [
        LabelScores(
            label=label,
            present=present[label],
            named=named[label],
            precision=_share(hits[label], named[label]),
            recall=_share(hits[label], present[label]),
            f1=_f1(hits[label], named[label], present[label]),
        )
        for label in (components(composite(labels)) if labels else ())
    ]


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _f1(hits: int, named: int, present: int) -> float | None:
    """Return 2 hits / (named + present), the harmonic mean of precision and recall."""
    return _share(2 * hits, named + present) if present else None


def top(record: DetectionRecord) -> str | None:
    """Return the most probable task, or the first label without probabilities; ties go by alphabetical order."""
    if record.probabilities:
        return max(sorted(record.probabilities), key=lambda name: record.probabilities[name])
    return min(record.labels, default=None)


def confusion(records: Sequence[DetectionRecord]) -> Counter[str]:
    """Count the verdicts: names such as `hazy+rainy`, `none` for no label, `failed` for a failed detection."""
    return Counter(_verdict(record) for record in records)


def _verdict(record: DetectionRecord) -> str:
    if record.status != OK:
        return "failed"
    return composite(record.labels) if record.labels else NONE


def confidences(task: str, records: Sequence[DetectionRecord]) -> list[tuple[float, bool]]:
    """Return, for each image with probabilities, the top probability and whether its task is present."""
    truth = components(task)
    graded = _with_probabilities(task, records)
    return [(max(record.probabilities.values()), top(record) in truth) for record in graded]


def calibration_error(pairs: Sequence[tuple[float, bool]]) -> float | None:
    """Return the expected calibration error of (confidence, was it right) pairs, in any order.

    It is the mean over 15 bins of |mean confidence - share that is right|, weighted by the number of pairs (Guo et
    al., ICML 2017). Bins hold equal numbers of pairs in the order of confidence, the first bins one more if the
    pairs do not divide evenly (Nixon et al., CVPR workshops 2019). Pairs of equal confidence all count with the
    share of them that is right, because the order among them, and so their bin, is arbitrary.
    """
    if not pairs:
        return None
    held: dict[float, list[bool]] = defaultdict(list)
    for confidence, right in pairs:
        held[confidence].append(right)
    shared = {confidence: sum(rights) / len(rights) for confidence, rights in held.items()}
    gaps = [confidence - shared[confidence] for confidence in sorted(confidence for confidence, _ in pairs)]
    size, larger = divmod(len(gaps), _BINS)
    starts = [index * size + min(index, larger) for index in range(_BINS + 1)]
    return sum(abs(sum(gaps[start:end])) for start, end in pairwise(starts)) / len(gaps)


def brier(task: str, records: Sequence[DetectionRecord]) -> float | None:
    """Return the mean over images of the sum over tasks of (probability - truth)^2 (Brier, 1950); 0 is best.

    A task without a probability has 0. None for mixtures and `clean`, whose truth is no distribution over tasks.
    """
    graded = _with_probabilities(task, records) if len(components(task)) == 1 else []
    errors = [
        sum(
            (record.probabilities.get(name, 0.0) - (name == task)) ** 2
            for name in sorted({task, *record.probabilities} - {CLEAN})
        )
        for record in graded
    ]
    return _share(sum(errors), len(errors))


def _with_probabilities(task: str, records: Sequence[DetectionRecord]) -> list[DetectionRecord]:
    """Return the records whose probabilities can be judged; none for `clean`, where no task is present."""
    return [r for r in records if r.status == OK and r.probabilities] if components(task) else []
