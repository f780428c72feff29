"""Errors on other machines, as one-line messages to the user."""

from __future__ import annotations

import platform

from ray.exceptions import RayError

from restorebench.contract.errors import RestorebenchError, from_worker
from restorebench.engine import environment
from restorebench.engine.ray.actor import Surroundings


def require_same(machine: Surroundings) -> None:
    """Refuse a machine that has other versions of the packages that results depend on.

    Raises:
        RestorebenchError: a version differs.
    """
    here, there = environment.installed(), machine.versions
    if other := [name for name in here if here[name] != there.get(name)]:
        different = ", ".join(f"{name} {there.get(name) or 'missing'}, not {here[name]}" for name in other)
        raise RestorebenchError(f"{machine.host} has {different}: install the same versions everywhere")


def from_there(host: str, error: tuple[str, str]) -> RestorebenchError:
    """Return an actor's error as an exception; its message begins with the machine if that is not this one."""
    kind, message = error
    return from_worker(kind, message if host == platform.node() else f"{host}: {message}")


def in_one_line(error: RayError) -> str:
    """Shorten Ray's message, which may be a page, to the first and the last line, each up to 150 characters."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return " ".join(f"{line:.150}" for line in dict.fromkeys((lines[0], lines[-1])))
