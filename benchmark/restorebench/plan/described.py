"""Cards of plugins that the driver has not imported, as their own process describes them."""

from __future__ import annotations

import atexit
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import cache
from typing import Any, ClassVar, get_type_hints

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from restorebench.contract.cards import CARD_TYPES, Card, resolve
from restorebench.contract.catalog import Catalog, Entry, Source, Undescribed, check_card, discover
from restorebench.contract.errors import BrokenPlugin, from_worker
from restorebench.contract.tasks import Task
from restorebench.contract.values import WeightFile
from restorebench.guest import channel, shapes
from restorebench.guest.describing import CALLABLES
from restorebench.guest.surroundings import kept
from restorebench.toolbox.options import validated_options

SECONDS = 60.0
"""How long the import of a plugin, and each answer about its options, may take."""
_GUARD_SECONDS = 25
AT_ONCE = 4
"""How many of these processes run: each may have imported torch. One that is needed again is started again."""
_running: list[Describer] = []


class Describer:
    """The process that has imported one plugin."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self._known = False  # whether its description has been read

    def start(self) -> None:
        """Start the process, in place of one whose description is known if there are enough."""
        known = [each for each in _running if each._known]
        for each in known[: max(0, len(_running) + 1 - AT_ONCE)]:
            each.end()
        to_read, self._to_write = os.pipe()
        self._reading, to_write = os.pipe()
        arguments = [str(to_read), str(to_write), self.source.name, str(os.getpid())]
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "restorebench.guest.describing", *arguments],
            env={**kept(os.environ), "PYTHONPATH": os.pathsep.join(each for each in sys.path if each)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(to_read, to_write),
            start_new_session=True,
        )
        os.close(to_read)
        os.close(to_write)
        self._until = time.monotonic() + SECONDS
        _running.append(self)

    def read(self) -> list[Entry]:
        """Return the plugin's cards.

        Raises:
            Undescribed: it could not be imported; the message is the reason.
        """
        told = self._told()
        try:
            return [self._entry(each) for each in told["cards"]]
        except (KeyError, TypeError, ValueError) as error:
            self.end()
            raise Undescribed(f"its process describes no cards ({type(error).__name__})") from error

    def _told(self) -> dict[str, Any]:
        """Wait for the description."""
        told = channel.receive(self._reading, max(0.0, self._until - time.monotonic()))
        if told is None:
            raise Undescribed(self._ended("importing it"))
        if "broken" in told:
            self.end()
            raise Undescribed(_line(told["broken"]))
        self._known = True
        return told

    def _entry(self, told: Mapping[str, Any]) -> Entry:
        kind = told["kind"]
        facts = {name: _fact(kind, name, value) for name, value in told["facts"].items()}
        code = {
            name: self._proxy(kind, facts["name"], name, told) for name in told["callables"] if name in CALLABLES
        }
        card = CARD_TYPES[kind](**facts, **code)
        check_card(kind, card)
        return Entry(kind, card, self.source.plugin, self.source.name, str(told["code"]), _line(told["lacks"]))

    def _proxy(self, kind: str, name: str, field: str, told: Mapping[str, Any]) -> Any:
        """Return what stands for a field that holds code."""
        if field == "options":
            if "error" in told["options"]:
                return BrokenPlugin(_line(told["options"]["error"]["text"]))
            ask = self._asker("validate", kind, name)
            base = type("Asking", (Described,), {"_ask": staticmethod(ask), "__annotations__": {}})
            return shapes.to_model(name, told["options"]["shape"], base)
        if field == "resources":
            ask = self._asker("weights", kind, name)
            return lambda model: _weights(ask({} if model is None else model.model_dump(mode="json")))
        return _on_demand(self.source, kind, name, field)

    def _asker(self, what: str, kind: str, name: str) -> Callable[[Mapping[str, Any]], Mapping[str, Any]]:
        def ask(options: Mapping[str, Any]) -> Mapping[str, Any]:
            request = {"ask": what, "kind": kind, "name": name, "options": dict(options)}
            if self not in _running:
                self.start()
                self._told()
            with contextlib.suppress(BrokenPipeError, OSError):
                channel.send(self._to_write, request)
            told = channel.receive(self._reading, SECONDS)
            if told is None:
                raise BrokenPlugin(f"plugin {self.source.plugin}: {self._ended('checking options')}")
            if "error" in told:
                _fail(told["error"])
            return told

        return ask

    def _ended(self, doing: str) -> str:
        """End the process, and say what it did in place of an answer."""
        code: int | None = None
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = self._process.wait(1)
        self.end()
        if code is None:
            return f"{doing} took more than {SECONDS:g} s, or it sent what is no answer"
        return (
            f"its process ended while {doing} (" + (f"exit code {code}" if code >= 0 else f"signal {-code}") + ")"
        )

    def end(self) -> None:
        """End the process, and all that it has started: its guard does that."""
        if self not in _running:
            return
        self._process.terminate()
        try:
            self._process.wait(_GUARD_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for descriptor in (self._to_write, self._reading):
            with contextlib.suppress(OSError):
                os.close(descriptor)
        self._to_write = self._reading = -1
        _running.remove(self)


@atexit.register
def end_all() -> None:
    """End the processes of all plugins."""
    for each in [*_running]:
        each.end()


class Described(BaseModel):
    """Options that the plugin's process has checked. It dumps to the same data as the plugin's own model."""

    model_config = ConfigDict(extra="allow", frozen=True)
    _ask: ClassVar[Callable[[Mapping[str, Any]], Mapping[str, Any]]]

    @classmethod
    def model_validate(cls, obj: Any, **_: Any) -> Any:
        """Let the plugin's process check raw options.

        Raises:
            ValidationError: they do not fit, with the errors that the plugin's model gave.
        """
        told = cls._ask(obj)
        try:
            problems = [_error(each) for each in told.get("problems", ())]
            made = cls.model_construct()
            failed = ValidationError.from_exception_data(cls.__name__, problems) if problems else None
            if failed is None:
                plain, values = dict(told["plain"]), dict(shapes.untagged(told["tagged"]))
                if plain.keys() != values.keys():
                    raise ValueError("two forms of different fields")
                object.__setattr__(made, "__pydantic_extra__", {"plain": plain, "values": values})
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise BrokenPlugin("its process checks no options") from error
        if failed is not None:
            raise failed
        return made

    def model_dump(self, *, mode: str = "python", **_: Any) -> dict[str, Any]:
        """Return the options as the plugin's model dumps them: as JSON-ready data, or with paths and sets."""
        held = self.__pydantic_extra__ or {}
        return dict(held["plain"] if mode == "json" else held["values"])


def _error(told: Mapping[str, Any]) -> InitErrorDetails:
    kind = PydanticCustomError(str(told["type"]), str(told["msg"]))  # without a context, braces are plain text
    return InitErrorDetails(type=kind, loc=tuple(told["loc"]), input=told["input"])


def _on_demand(source: Source, kind: str, name: str, field: str) -> Callable[..., Any]:
    """Return a function that imports the plugin when the host needs its data, metrics or reports, and calls it."""

    def call(*given: Any) -> Any:
        card = _imported(source.name).find(kind, name)
        own = [
            validated_options(card, each.model_dump(mode="json")) if isinstance(each, Described) else each
            for each in given
        ]
        return resolve(getattr(card, field))(*own)

    return call


@cache
def _imported(source: str) -> Catalog:
    catalog = discover(only=[source])
    for broken in catalog.broken:
        raise BrokenPlugin(f"plugin {broken.plugin} is broken: {broken.reason}")
    return catalog


def _fact(kind: str, name: str, value: Any) -> Any:
    """Convert a fact to the type that the card's field has."""
    return _adapter(kind, name).validate_python(value)


@cache
def _adapter(kind: str, name: str) -> TypeAdapter[Any]:
    card: type[Card] = CARD_TYPES[kind]
    if name not in {each.name for each in fields(card)} - set(CALLABLES):
        raise KeyError(name)
    hints = get_type_hints(card, localns={"BaseModel": BaseModel, "Task": Task})
    return TypeAdapter(hints[name])


def _weights(told: Mapping[str, Any]) -> tuple[WeightFile, ...]:
    try:
        found: tuple[WeightFile, ...] = TypeAdapter(tuple[WeightFile, ...]).validate_python(told["weights"])
    except (KeyError, ValidationError) as error:
        raise BrokenPlugin("its process names no weights") from error
    return found


def _fail(error: Mapping[str, str]) -> None:
    raise from_worker(str(error["kind"]) or "BrokenPlugin", _line(error["text"]))


def _line(text: object) -> str:
    return " ".join(str(text).split())[:1000]
