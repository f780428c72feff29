"""Give a machine what it does not see of the driver's files, once, whichever actors are there.

They come to lie below a folder of the machine's cache, each under its whole path at the driver, so that files that
name their neighbours find them. Options, roots and messages are translated on the way in and out. It imports
neither ray nor torch.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, is_dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any, Protocol, TypeVar

from filelock import FileLock, Timeout

from restorebench.contract.errors import RestorebenchError
from restorebench.toolbox.digests import digest
from restorebench.toolbox.files import files_below
from restorebench.worker.jobs import Setup

Data = TypeVar("Data")

PART_BYTES = 16 * 2**20
"""How much of a file travels at once."""
_GLIMPSED = 100
FOLDER = "placed"
"""Below the cache folder: what was sent to this machine. It may be deleted when no run uses it."""


Glimpse = Mapping[str, int]
"""Size in bytes of a file or folder, named "", and of some things below it by name; -1 for what is no file."""


def glimpse(path: str) -> Glimpse:
    """Look at a file or folder, to tell whether another machine sees the same.

    A folder is often there with nothing mounted on it, or with another user's files.
    """
    place = Path(path)
    return {"": _size(place)} | (dict(_glimpsed(place, _GLIMPSED)) if place.is_dir() else {})


def _glimpsed(folder: Path, most: int) -> Iterator[tuple[str, int]]:
    """Look at up to so many things in a folder, and share that number out to the folders among them."""
    try:
        names = sorted(each.name for each in folder.iterdir())
    except OSError:  # what may not be read here is read nowhere
        return
    chosen = names[:: 1 + len(names) // most]
    for name in chosen:
        yield name, _size(folder / name)
        if (share := (most - 1) // len(chosen)) and (folder / name).is_dir():
            yield from ((f"{name}/{below}", size) for below, size in _glimpsed(folder / name, share))


def sees(path: str, glimpsed: Glimpse) -> bool:
    """Tell whether what was glimpsed elsewhere is here too. What has come to a folder since does not matter."""
    try:
        return all(
            Path(path, name).exists() and _size(Path(path, name)) == size for name, size in glimpsed.items()
        )
    except OSError:  # it may not be looked at
        return False


def _size(place: Path) -> int:
    return place.stat().st_size if place.is_file() else -1


@dataclass(frozen=True)
class Item:
    """A file of the driver: its absolute path, its size in bytes and what it holds; "" for an empty folder."""

    path: str
    bytes: int
    sha256: str


class Files(Protocol):
    """What gives the driver's files to others."""

    def items(self, paths: Sequence[str]) -> list[Item]:
        """List the files at or below paths, and those that are empty folders; what is not there is left out."""

    def read(self, path: str, start: int) -> bytes:
        """Return `PART_BYTES` of a file, fewer at its end."""


class Placement:
    """Where on this machine the driver's files are.

    What the machine sees stays where it is. tree: folder below which the rest has come, None without any. scratch:
    what stands for a run folder that is not seen, None for one that is.
    """

    def __init__(
        self, setup: Setup, missing: Sequence[str] = (), files: Files | None = None, cache: Path = Path()
    ) -> None:
        """Bring what is missing here, unless it was before.

        missing: of the setup's inputs and its run folder; if any, files gives them. cache: folder of this machine
        that may be written.

        Raises:
            RestorebenchError: it cannot be written, or a file cannot be read or changed while it was sent.
        """
        self.tree: Path | None = None
        self.scratch: Path | None = None
        self._setup = setup
        self._folder = cache / FOLDER
        self._moved: list[str] = []
        if not missing or files is None:
            return
        self._files = files
        lacking = [path for path in missing if path != setup.run_folder]
        # What lies below one root, or in the cache, has to be in one place.
        places = [*setup.roots.values(), setup.cache]
        parted = [place for place in places if any(Path(path).is_relative_to(place) for path in lacking)]
        lacking += [path for path in setup.inputs if any(Path(path).is_relative_to(place) for place in parted)]
        self._moved = [*lacking, *parted]
        try:
            if lacking:
                self.tree = self._bring(lacking)
            if setup.run_folder in missing:
                self.scratch = self._make_scratch()
        except OSError as error:
            raise RestorebenchError(
                f"{error.filename or self._folder}: {error.strerror}; make room there, or name another folder by"
                " RESTOREBENCH_HOME where its Ray is started"
            ) from error

    # ------------------------------------------------------------ what things are called here and there

    def setup(self, cache: Path) -> Setup:
        """Translate the setup. cache: this machine's own, for a driver's that cannot be written here."""
        setup = self._setup
        told = self.here(setup.cache)
        if told == setup.cache and not _writable(Path(told)):
            told = str(cache)
        run_folder = setup.run_folder if self.scratch is None else str(self.scratch)
        return replace(setup, run_folder=run_folder, roots=self.here(setup.roots), cache=told, inputs=())

    def here(self, value: Data) -> Data:
        """Translate every path within plain data that come from the driver."""
        if self.tree is None:
            return value
        translated: Data = _mapped(value, self._path_here)
        return translated

    def there(self, value: Data) -> Data:
        """Translate every mention of a path within plain data that go to the driver."""
        if self.tree is None and self.scratch is None:
            return value
        translated: Data = _mapped(value, self._text_there)
        return translated

    def _path_here(self, text: str) -> str:
        kind = "file:" if text.startswith("file:/") else ""  # a plugin's source
        path = text.removeprefix(kind)
        if path.startswith("/") and any(Path(path).is_relative_to(moved) for moved in self._moved):
            return f"{kind}{self.tree}{os.path.normpath(path)}"
        return text

    def _text_there(self, text: str) -> str:
        if self.scratch is not None:
            text = text.replace(str(self.scratch), self._setup.run_folder)
        return text if self.tree is None else text.replace(str(self.tree), "")

    # ------------------------------------------------------------ files of one group

    @contextlib.contextmanager
    def with_outputs(self, outputs: Sequence[str]) -> Iterator[None]:
        """Have restored images in a run folder that is not the driver's. outputs: relative to it."""
        brought: list[Path] = []
        if self.scratch is not None and outputs:
            images = [str(Path(self._setup.run_folder) / name) for name in outputs]
            exact = [str(Path(image).with_suffix(".npy")) for image in images]
            for item in self._files.items(images + exact):
                brought.append(self.scratch / Path(item.path).relative_to(self._setup.run_folder))
                brought[-1].parent.mkdir(parents=True, exist_ok=True)
                _receive(item, self._files, brought[-1])
        try:
            yield
        finally:
            for file in brought:
                file.unlink()

    def take_written(self) -> dict[str, bytes]:
        """Take what a group has put into a run folder that is not the driver's, except logs; by relative path."""
        if self.scratch is None:
            return {}
        taken = {}
        for file in sorted(files_below(self.scratch)):
            name = file.relative_to(self.scratch)
            if file.is_file() and name.parts[0] not in {"logs", _IN_USE}:
                taken[str(name)] = file.read_bytes()
                file.unlink()
        return taken

    # ------------------------------------------------------------ bringing files

    def _bring(self, paths: Sequence[str]) -> Path:
        items = self._files.items(paths)
        tree = self._folder / "trees" / digest([asdict(item) for item in items])
        tree.mkdir(parents=True, exist_ok=True)
        with FileLock(self._folder / "lock"):  # others on this machine wait, and find it done
            for item in items:
                target = tree / os.path.normpath(item.path).lstrip("/")
                if not item.sha256:
                    target.mkdir(parents=True, exist_ok=True)
                elif not _holds(target, item):  # one by one: who makes room may have deleted a part of them
                    self._link(item, target)
        return tree

    def _link(self, item: Item, target: Path) -> None:
        """Put a file where it belongs, from those that are kept."""
        kept = self._folder / "files" / item.sha256
        if not _holds(kept, item):
            kept.parent.mkdir(exist_ok=True)
            _receive(item, self._files, kept)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        try:
            os.link(kept, target)
        except OSError:  # a file system without links, or with too many to one file
            shutil.copyfile(kept, target)

    def _make_scratch(self) -> Path:
        """Make a run folder of this process's own, and remove those of others that are gone."""
        runs = self._folder / "runs"
        runs.mkdir(parents=True, exist_ok=True)
        with FileLock(self._folder / "lock"):
            for left in runs.iterdir():
                with contextlib.suppress(Timeout), FileLock(left / _IN_USE, timeout=0):
                    shutil.rmtree(left, ignore_errors=True)
            made = Path(tempfile.mkdtemp(dir=runs))
            self._using = FileLock(made / _IN_USE)  # held as long as this process lives
            self._using.acquire()
        return made


_IN_USE = "in-use"


def _receive(item: Item, files: Files, target: Path) -> None:
    """Write a file part by part, under its name only once it is whole."""
    found, size = hashlib.sha256(), 0
    part = target.with_name(f"{target.name}.part")
    part.unlink(missing_ok=True)  # of one that was killed, perhaps when nobody might write to it any more
    with part.open("wb") as stream:
        while size < item.bytes:
            data = files.read(item.path, size)
            if not data:
                break
            stream.write(data)
            found.update(data)
            size += len(data)
    if found.hexdigest() != item.sha256:
        part.unlink()
        raise RestorebenchError(f"{item.path}: changed while it was sent; the same command again continues")
    part.chmod(0o444)  # several trees may share it
    part.replace(target)


def _holds(place: Path, item: Item) -> bool:
    return place.is_file() and place.stat().st_size == item.bytes


def _writable(folder: Path) -> bool:
    """Tell whether a folder, or the first there is above it, may be written."""
    existing = next(place for place in (folder, *folder.parents) if sees(str(place), {"": -1}))
    return os.access(existing, os.W_OK)


def _mapped(value: Any, change: Callable[[str], str]) -> Any:
    """Change every text within plain data: dataclasses, mappings with their keys, sequences and sets."""
    if isinstance(value, Enum):  # some are texts
        return value
    if isinstance(value, str):
        return change(value)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{each.name: _mapped(getattr(value, each.name), change) for each in fields(value)})
    if isinstance(value, Mapping):
        return {_mapped(key, change): _mapped(part, change) for key, part in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return type(value)(_mapped(part, change) for part in value)
    return value
