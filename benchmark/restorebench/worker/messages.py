"""The answers of workers as checked types, as a plugin's process may send anything; others are not accepted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, is_dataclass
from functools import cache
from typing import Any, TypeVar

from pydantic import TypeAdapter

from restorebench.records import DetectionRecord, Failure, Record
from restorebench.worker.jobs import CellSpec, Job, Setup


@dataclass(frozen=True)
class Greeting:
    """A worker has started. devices: those that it can use, the CPU first."""

    devices: tuple[str, ...]


@dataclass(frozen=True)
class Ready:
    """A cell is loaded. parameters: number of its plugin's parameters, None if it has no module."""

    parameters: int | None


@dataclass(frozen=True)
class Recorded:
    """A job that restored or scored is done: one record per image. resident_mib: memory of the worker."""

    records: tuple[Record, ...]
    resident_mib: float


@dataclass(frozen=True)
class Detected:
    """A job that detected is done: one record per image. resident_mib: memory of the worker."""

    records: tuple[DetectionRecord, ...]
    resident_mib: float


@dataclass(frozen=True)
class Failed:
    """A whole job failed, or its whole cell if it failed while loading."""

    failure: Failure


@dataclass(frozen=True)
class Refused:
    """An error that the user has to fix. error: the name of its type; message: its text."""

    error: str
    message: str


Answer = Greeting | Ready | Recorded | Detected | Failed | Refused
_ANSWERS: Mapping[str, type[Answer]] = {
    "greeting": Greeting,
    "ready": Ready,
    "recorded": Recorded,
    "detected": Detected,
    "failed": Failed,
    "refused": Refused,
}

Request = Setup | CellSpec | Job
"""A request to a worker: its settings, a cell to load, or a job to do."""
_REQUESTS: Mapping[str, type[Request]] = {"setup": Setup, "load": CellSpec, "job": Job}

Message = TypeVar("Message")


def written(message: Answer | Request) -> dict[str, Any]:
    """Return a message as JSON-ready data."""
    assert is_dataclass(message)
    names = {kind: name for name, kind in (*_ANSWERS.items(), *_REQUESTS.items())}
    kind: Any = type(message)
    return {"type": names[kind], **_adapter(kind).dump_python(message, mode="json")}


def answer_from(raw: Mapping[str, Any]) -> Answer:
    """Convert data that a worker sent to an answer.

    Raises:
        ValueError: it is not an answer, or a field cannot be converted to its type.
    """
    return _read(raw, _ANSWERS)


def request_from(raw: Mapping[str, Any]) -> Request:
    """Convert data that a driver sent to a request.

    Raises:
        ValueError: it is not a request.
    """
    return _read(raw, _REQUESTS)


def _read(raw: Mapping[str, Any], kinds: Mapping[str, type[Message]]) -> Message:
    fields = dict(raw)
    name = fields.pop("type", None)
    if not isinstance(name, str) or name not in kinds:
        raise ValueError(f"a message of type {name!r:.60}")
    kind: Any = kinds[name]
    message: Message = _adapter(kind).validate_python(fields)
    return message


def fits(answer: Recorded | Detected, job: Job) -> bool:
    """Tell whether records belong to a job: they are of its cell, one for each image, in order."""
    if isinstance(answer, Detected) != (job.mode == "detect"):
        return False
    named = [(record.digest, record.sample) for record in answer.records]
    if named != [(job.cell.digest, name) for name in job.ids]:
        return False
    return all(record.repetition == job.repetition for record in answer.records if isinstance(record, Record))


@cache
def _adapter(kind: type) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
