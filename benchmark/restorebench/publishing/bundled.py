"""Whether a suite that has the name and version of a bundled one is that suite."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from restorebench.suite import loading

DECIDING = (
    *("seed", "tasks", "datasets", "metrics", "protocols", "clean_inputs", "repetitions"),
    *("batch_size", "tile", "tile_overlap"),
)
"""Keys that decide what a number means. Which restorers and detectors are compared is free."""
_ROOT = "/restorebench-data"  # stands for ${data}, which a suite needs to be read


def departure(suite: Mapping[str, Any]) -> tuple[str, Any, Any] | None:
    """Return the first key in which a suite departs from the bundled one, with both values; None if it does not.

    A suite of another name, or of another version than the bundled one, departs from nothing.

    suite: as in a manifest, with `${data}` in place of the folder.
    """
    if suite["suite"] not in loading.bundled():
        return None
    model = loading.load(suite["suite"], data=Path(_ROOT)).suite
    known = json.loads(model.model_dump_json().replace(_ROOT, "${data}"))
    if known["version"] != suite["version"]:
        return None
    return next(((key, known[key], suite.get(key)) for key in DECIDING if known[key] != suite.get(key)), None)
