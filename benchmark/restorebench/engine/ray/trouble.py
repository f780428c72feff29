"""What goes wrong on other machines, said to the user in one line."""

from __future__ import annotations

import platform

from ray.exceptions import RayError

from restorebench.contract.errors import RestorebenchError, from_worker
from restorebench.engine import environment
from restorebench.engine.ray.actor import Surroundings


def require_same(place: Surroundings) -> None:
    """Refuse a machine that has other versions of what numbers depend on.

    Raises:
        RestorebenchError: it has.
    """
    here, there = environment.installed(), place.versions
    if other := [name for name in here if here[name] != there.get(name)]:
        different = ", ".join(f"{name} {there.get(name) or 'missing'}, not {here[name]}" for name in other)
        raise RestorebenchError(f"{place.host} has {different}: numbers need the same versions everywhere")


def from_there(host: str, error: tuple[str, str]) -> RestorebenchError:
    """Make an error of an actor again, saying where it is if that is not here."""
    kind, message = error
    return from_worker(kind, message if host == platform.node() else f"{host}: {message}")


def in_one_line(error: RayError) -> str:
    """Say what Ray says, which may be a page: the first line and the last, each in short."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return " ".join(f"{line:.150}" for line in dict.fromkeys((lines[0], lines[-1])))
