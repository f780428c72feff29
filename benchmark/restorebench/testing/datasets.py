"""Claims about datasets: the index, the samples, and their agreement."""

from __future__ import annotations

from typing import Any

from restorebench.contract.cards import resolve
from restorebench.contract.errors import ContractViolation
from restorebench.contract.tasks import CLEAN, TEN_NAMES, components
from restorebench.contract.values import DataRequest, Sample, SampleInfo
from restorebench.testing.subject import Subject, hold_image
from restorebench.toolbox.counts import counted

_KINDS_OF_SAMPLE = ("captured", "published", "derived", "synthetic")


def indexes_what_it_holds(subject: Subject) -> None:
    """Two calls of index agree, its ids are unique, and it is as long as the dataset."""
    for task in _tasks_held(subject):
        index, data = _index(subject, task), _data(subject, task)
        subject.hold(index == _index(subject, task), f"two calls of index for {task} differ")
        has = counted(len(index), "sample")
        subject.hold(len(index) == len(data), f"index of {task} has {has}, data {len(data)}")
        ids = [info.id for info in index]
        subject.hold(len(set(ids)) == len(ids), f"sample ids of {task} are not unique")
        for info in index:
            sound = info.kind in _KINDS_OF_SAMPLE and bool(info.scene) and len(info.digest) == 64
            subject.hold(sound, f"{info} needs a scene, a sha256 hex digest and one of {_KINDS_OF_SAMPLE}")


def gives_what_it_indexes(subject: Subject) -> None:
    """Samples have the indexed size and are float32 in [0, 1]; `clean` ones are clean; order does not matter."""
    import numpy as np

    for task in _tasks_held(subject):
        index, data, again = _index(subject, task), _data(subject, task), _data(subject, task)
        numbers = range(min(2, len(index)))
        samples = {number: _sample(subject, data, number) for number in numbers}
        for number in reversed(numbers):
            sample, info = samples[number], index[number]
            hold_image(subject, sample.degraded, (info.height, info.width), f"{task}, {info.id}: degraded")
            if sample.clean is not None:
                hold_image(subject, sample.clean, (info.height, info.width), f"{task}, {info.id}: clean")
            if task == CLEAN:
                untouched = sample.clean is not None and np.array_equal(sample.degraded, sample.clean)
                subject.hold(
                    untouched, f"clean, {info.id}: its `degraded` is not its ground truth, as `clean` promises"
                )
            same = np.array_equal(sample.degraded, _sample(subject, again, number).degraded)
            subject.hold(same, f"{task}, {info.id}: its pixels depend on the order of reading")


def _sample(subject: Subject, data: Any, number: int) -> Sample:
    """Read a sample as a worker does."""
    from restorebench.worker import reading

    try:
        return reading.read(data, number)
    except ContractViolation as error:
        raise subject.violation(str(error)) from error


def _tasks_held(subject: Subject) -> list[str]:
    """List two tasks that the dataset has samples of, and `clean` if it has some; more need not be checked."""
    held = [task for task in (*TEN_NAMES, CLEAN) if _index(subject, task)]
    subject.hold(bool(held), "it holds no sample of any task; give `options` that point at data")
    single = [task for task in held if components(task)]
    return [*single[:2], *(task for task in held if not components(task))]


def _request(subject: Subject, task: str) -> DataRequest:
    return DataRequest(task, 0, {}, subject.catalog.find)


def _index(subject: Subject, task: str) -> list[SampleInfo]:
    return list(resolve(subject.card.index)(subject.validated, _request(subject, task)))


def _data(subject: Subject, task: str) -> Any:
    return subject.load(_request(subject, task))


CLAIMS = (
    indexes_what_it_holds,
    gives_what_it_indexes,
)
