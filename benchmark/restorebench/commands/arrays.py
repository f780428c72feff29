"""Hand arrays to a run through files, and gather what it restored as arrays again."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from restorebench.commands.one_off import prepared, require_able
from restorebench.contract.errors import RestorebenchError, RunFolderError
from restorebench.engine.events import Done, Event
from restorebench.journal import journal as journals
from restorebench.records import FAILED, OK, Record
from restorebench.runner import execute
from restorebench.schedule.stage import Started, Watcher
from restorebench.suite.settings import Settings
from restorebench.tables import outcomes
from restorebench.toolbox.arrays import Pixels
from restorebench.toolbox.images import write_float

if TYPE_CHECKING:
    from restorebench.contract.values import Image


@contextmanager
def kept(pixels: Pixels) -> Iterator[dict[str, Any]]:
    """Write arrays into a temporary folder, for workers to read; give the data of a suite for them.

    Raises:
        RunFolderError: there is no room for them.
    """
    with tempfile.TemporaryDirectory(prefix="restorebench-") as name:
        try:
            for number, image in enumerate(pixels.images()):
                write_float(Path(name) / f"{number}.npy", image)
        except OSError as error:
            raise RunFolderError(f"{name}: {error.strerror}; set TMPDIR to a folder with more room") from error
        yield {"datasets": [{"name": "unpaired", "options": {"path": name, "arrays": True}}]}


def restored(raw: dict[str, Any], settings: Settings, watch: Watcher, pixels: Pixels) -> Any:
    """Run a suite given as data on arrays, and return the restored ones.

    Raises:
        RestorebenchError: one could not be restored.
    """
    found: dict[int, Image] = {}
    with kept(pixels) as data, prepared({**raw, **data}, settings) as (plan, there, folder):
        require_able(plan, watch)

        def take(event: Event | Started) -> None:
            for record in event.records if isinstance(event, Done) else ():
                if isinstance(record, Record) and record.status == OK:
                    file = (folder / record.output).with_suffix(".npy")
                    found[int(record.sample)] = np.load(file, allow_pickle=False)
                    file.unlink()
            watch(event)

        execute(replace(plan, unrounded=True), there, take)
        with journals.opened(folder) as journal:
            failed = [record for record in outcomes.records(plan, journal) if record.status == FAILED]
    if failed:
        first = min(failed, key=lambda record: int(record.sample))
        more = f" (and {len(failed) - 1} more failed)" if len(failed) > 1 else ""
        raise RestorebenchError(f"{pixels.name(int(first.sample))} was not restored: {first.reason}{more}")
    return pixels.like([found[number] for number in range(len(pixels))])
