"""Put finished images, one by one, where the user wants them; files there are replaced only on request."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import Any

from restorebench.contract.errors import RunFolderError
from restorebench.engine.events import Done, Event
from restorebench.plan.plan import Plan
from restorebench.records import OK, Record
from restorebench.toolbox.files import atomic_write_bytes, atomic_write_text
from restorebench.toolbox.images import SUFFIXES


class Existing(Enum):
    """What to do with files in the output folder that have the name of a result."""

    REFUSE = "refuse"
    """Stop with an error before anything is computed."""
    SKIP = "skip"
    """Keep them and compute only the missing results, for example to continue a command that was killed."""
    OVERWRITE = "overwrite"


class Delivery:
    """A mover of finished images out of a run folder, so that an interruption loses none of them.

    A sample becomes `<out>/<stem of its id>.png`, or the file `out` if that is a `.png` and there is one image.
    With `made_from`, a JSON file beside it records how it was made: the parameters of its degradation, and under
    the key `made_from` the value of that function for the stem.
    """

    def __init__(
        self,
        plan: Plan,
        run: Path,
        source: Path,
        out: Path,
        *,
        stem: Callable[[str], str] = str,
        made_from: Callable[[str], Mapping[str, Any]] | None = None,
        existing: Existing = Existing.REFUSE,
    ) -> None:
        """Check that everything can be written, before anything is computed.

        Raises:
            RunFolderError: `out` is a file, is `source` or a folder in it, cannot be written, or holds a file with
                the name of a result (unless `existing` allows this) or the input itself under such a name.
        """
        file = _named_file(source, out)
        out = out if file is None else file.parent
        self._run = run
        self._out = out
        self._stem = stem
        self._made_from = made_from
        self._existing = existing
        self._targets = {
            sample.id: file or out / f"{stem(sample.id)}.png"
            for cell in plan.restorer_cells
            for sample in cell.data.samples[: cell.data.wanted]
        }
        self._delivered: set[str] = set()
        with _writing(out):
            self._check(source)
            found = {name for name, target in self._targets.items() if os.path.lexists(target)}
        self.skipped = frozenset(found) if existing is Existing.SKIP else frozenset()
        """Ids of samples whose results exist: an image is never half-written, and its JSON is written first."""

    def _check(self, source: Path) -> None:
        out = self._out
        if out.exists() and not out.is_dir():
            raise RunFolderError(f"{out} is a file; give -o a folder")
        if source.is_dir() and out.resolve().is_relative_to(source.resolve()):
            raise RunFolderError(
                f"{out} is or lies in the input folder {source}, where results would be mixed with inputs;"
                " give -o a folder outside it"
            )
        if any(target.resolve() == source.resolve() for target in self._targets.values()):
            raise RunFolderError(f"{source} would be replaced by its own result; give -o another folder")
        if self._existing is Existing.REFUSE:
            self._refuse([path for target in self._targets.values() for path in self._files(target)])
        out.mkdir(parents=True, exist_ok=True)
        if not os.access(out, os.W_OK | os.X_OK):
            raise RunFolderError(f"{out} cannot be written; give -o another folder")

    @property
    def files(self) -> tuple[Path, ...]:
        """The images delivered so far, in the order of the samples."""
        return tuple(path for name, path in self._targets.items() if name in self._delivered)

    def take(self, event: Event) -> None:
        """Deliver the images of a finished job."""
        for record in event.records if isinstance(event, Done) else ():
            if not isinstance(record, Record) or record.status != OK:
                continue
            if record.sample not in self._delivered and record.sample not in self.skipped:
                self._deliver(record)

    def _deliver(self, record: Record) -> None:
        target = self._targets[record.sample]
        made = self._run / record.output
        with _writing(self._out):
            target.parent.mkdir(parents=True, exist_ok=True)
            explained = None if self._made_from is None else self._explained(record)
            if self._existing is not Existing.OVERWRITE:  # checked again: others may write there too
                leftover = self._existing is Existing.SKIP and _holds(_facts(target), explained)
                self._refuse([target] if leftover else self._files(target))
            if explained is not None:
                atomic_write_text(_facts(target), explained)
            atomic_write_bytes(target, made.read_bytes())
            made.unlink()
        self._delivered.add(record.sample)

    def _explained(self, record: Record) -> str:
        assert self._made_from is not None  # the only caller checks this
        facts = {**record.parameters, "made_from": self._made_from(self._stem(record.sample))}
        return json.dumps(facts, indent=2, ensure_ascii=False) + "\n"

    def _files(self, target: Path) -> list[Path]:
        return [target] if self._made_from is None else [target, _facts(target)]

    def _refuse(self, wanted: list[Path]) -> None:
        existing = [path for path in wanted if os.path.lexists(path)]
        if existing:
            more = f" (and {len(existing) - 1} more)" if len(existing) > 1 else ""
            raise RunFolderError(
                f"{existing[0]} exists and is not overwritten{more}; give -o another folder,"
                " --skip-existing to compute only what is missing, or --overwrite"
            )


def _named_file(source: Path, out: Path) -> Path | None:
    """Return the file that `out` names for the result of one image, or None if it names a folder."""
    suffix = out.suffix.lower()
    if suffix not in SUFFIXES or out.is_dir():
        return None
    if source.is_dir():
        raise RunFolderError(f"{out} names one image, and {source} is a folder; give -o a folder")
    if suffix != ".png":
        raise RunFolderError(f"{out}: results are PNG files; give -o {out.with_suffix('.png')}, or a folder")
    return out


def _facts(target: Path) -> Path:
    return target.with_suffix(".json")


def _holds(path: Path, text: str | None) -> bool:
    """Return whether a file has exactly this content, like one that a killed command left behind."""
    return text is not None and path.is_file() and path.read_bytes() == text.encode()


@contextmanager
def _writing(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RunFolderError(f"{error.filename or out}: {error.strerror}; give -o another folder") from error
