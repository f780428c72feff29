"""The code of a plugin: how it is imported from a file, and how it is known again."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from importlib.machinery import SourceFileLoader
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType

from restorebench.contract import hookspecs
from restorebench.contract.errors import BrokenPlugin


def distribution(point: EntryPoint) -> str:
    """Return name and version of an entry point's distribution; "" for ours, whose cards have versions."""
    if point.dist is None or point.dist.name == hookspecs.PROJECT:
        return ""
    return f"{point.dist.name} {point.dist.version}"


def import_file(path: Path) -> tuple[ModuleType, str]:
    """Import a plugin from a Python file under a module name of its own, without changing sys.path.

    Returns the module and `sha256:...` of exactly the bytes that were run. The file is read once, and Python's
    cache of compiled code is not used, so neither a later edit nor an older version can make the two differ.
    """
    if not path.is_file():
        raise BrokenPlugin(f"{path} is not a file; --plugin takes the path of a .py file")
    spec = importlib.util.spec_from_file_location(f"restorebench_file_{path.stem}", path)
    if spec is None or not isinstance(spec.loader, SourceFileLoader):
        raise BrokenPlugin(f"{path} is not a Python file")
    source = path.read_bytes()
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses and pydantic look up their module there
    exec(spec.loader.source_to_code(source, str(path)), module.__dict__)
    return module, f"sha256:{hashlib.sha256(source).hexdigest()}"


def code_of(source: str) -> str:
    """Return the code of a source as it is now, as in `Entry.code`, without importing it; "" if it is gone."""
    if source.startswith("file:"):
        path = Path(source[5:])
        return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}" if path.is_file() else ""
    points = entry_points(group=hookspecs.PROJECT)
    return next((distribution(point) for point in points if f"entry:{point.name}" == source), "")


def require_code(plugin: str, code: str, planned: str) -> None:
    """Raise BrokenPlugin unless a plugin has the code with which a run was planned."""
    if code != planned:
        raise BrokenPlugin(
            f"plugin {plugin} was changed during the run; the same command again repeats the "
            "cells that use it, and keeps the rest"
        )


def module_of(source: str) -> str:
    """Return the name of the module behind a source `entry:NAME`; "" if there is no such plugin."""
    points = entry_points(group=hookspecs.PROJECT)
    return next((point.module for point in points if f"entry:{point.name}" == source), "")
