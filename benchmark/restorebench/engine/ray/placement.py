"""Copying of the driver's files to machines that do not see them, once per machine.

The copies are below a folder of the machine's cache, each under its whole path at the driver, so that files that
name their neighbours find them. Paths in options, roots and messages are translated on the way in and out. This
module imports neither ray nor torch.
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
"""Size of the parts in which a file is sent."""
_GLIMPSED = 100
FOLDER = "placed"
"""Folder in the cache folder for files sent to this machine. It may be deleted when no run uses it."""


Glimpse = Mapping[str, int]
"""Sizes in bytes of a file or folder, named "", and of some entries below it by name; -1 for all but files."""


def glimpse(path: str) -> Glimpse:
    """Look at a file or folder, to find out whether another machine sees the same.

    A folder may exist there with nothing mounted on it, or with another user's files.
    """
    root = Path(path)
    return {"": _size(root)} | (dict(_glimpsed(root, _GLIMPSED)) if root.is_dir() else {})


def _glimpsed(folder: Path, most: int) -> Iterator[tuple[str, int]]:
    """Look at up to `most` files and folders in a folder, divided among its subfolders."""
    try:
        names = sorted(each.name for each in folder.iterdir())
    except OSError:  # a folder that may not be read here is not read anywhere
        return
    chosen = names[:: 1 + len(names) // most]
    for name in chosen:
        yield name, _size(folder / name)
        if (share := (most - 1) // len(chosen)) and (folder / name).is_dir():
            yield from ((f"{name}/{below}", size) for below, size in _glimpsed(folder / name, share))


def sees(path: str, glimpsed: Glimpse) -> bool:
    """Tell whether this machine has the files of a glimpse. Files added to a folder since then do not matter."""
    try:
        return all(
            Path(path, name).exists() and _size(Path(path, name)) == size for name, size in glimpsed.items()
        )
    except OSError:  # its folder may not be read
        return False


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else -1


@dataclass(frozen=True)
class Item:
    """A file of the driver: its absolute path, size in bytes and sha256; the sha256 of an empty folder is ""."""

    path: str
    bytes: int
    sha256: str


class Files(Protocol):
    """A source of the driver's files."""

    def items(self, paths: Sequence[str]) -> list[Item]:
        """List the files at or below paths, and paths that are empty folders; missing paths are left out."""

    def read(self, path: str, start: int) -> bytes:
        """Return `PART_BYTES` bytes of a file from `start` on, fewer at its end."""


class Placement:
    """The paths on this machine of the driver's files.

    If the machine has a file or folder under the driver's path, it uses its own. tree: folder with copies of the
    others, None without any. scratch: replacement of the run folder, None if the machine sees the run folder.
    """

    def __init__(
        self, setup: Setup, missing: Sequence[str] = (), files: Files | None = None, cache: Path = Path()
    ) -> None:
        """Copy missing files to this machine, unless it has copies already.

        missing: those of the setup's inputs and its run folder that this machine lacks. files: their source,
        needed if any are missing. cache: folder of this machine that may be written.

        Raises:
            RestorebenchError: the cache cannot be written, or a file cannot be read or changed while it was sent.
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
        # All inputs below one root, or in the cache, have to be in one tree.
        folders = [*setup.roots.values(), setup.cache]
        moved = [folder for folder in folders if any(Path(path).is_relative_to(folder) for path in lacking)]
        lacking += [path for path in setup.inputs if any(Path(path).is_relative_to(folder) for folder in moved)]
        self._moved = [*lacking, *moved]
        try:
            if lacking:
                self.tree = self._bring(lacking)
            if setup.run_folder in missing:
                self.scratch = self._make_scratch()
        except OSError as error:
            raise RestorebenchError(
                f"{error.filename or self._folder}: {error.strerror}; make room there, or set RESTOREBENCH_HOME"
                " to another folder where its Ray is started"
            ) from error

    # ------------------------------------------------------------ translating paths

    def setup(self, cache: Path) -> Setup:
        """Translate the setup. cache: this machine's own, used if the driver's cannot be written here."""
        setup = self._setup
        chosen = self.here(setup.cache)
        if chosen == setup.cache and not _writable(Path(chosen)):
            chosen = str(cache)
        run_folder = setup.run_folder if self.scratch is None else str(self.scratch)
        return replace(setup, run_folder=run_folder, roots=self.here(setup.roots), cache=chosen, inputs=())

    def here(self, value: Data) -> Data:
        """Translate every path within plain data from the driver."""
        if self.tree is None:
            return value
        translated: Data = _mapped(value, self._path_here)
        return translated

    def there(self, value: Data) -> Data:
        """Translate every mention of a path within plain data for the driver."""
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
        """Keep restored images in a run folder that is not the driver's, for a block. outputs: relative to it."""
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
        """Take a group's files, except logs, out of a run folder that is not the driver's; by relative path."""
        if self.scratch is None:
            return {}
        taken = {}
        for file in sorted(files_below(self.scratch)):
            name = file.relative_to(self.scratch)
            if file.is_file() and name.parts[0] not in {"logs", _IN_USE}:
                taken[str(name)] = file.read_bytes()
                file.unlink()
        return taken

    # ------------------------------------------------------------ receiving files

    def _bring(self, paths: Sequence[str]) -> Path:
        items = self._files.items(paths)
        tree = self._folder / "trees" / digest([asdict(item) for item in items])
        tree.mkdir(parents=True, exist_ok=True)
        with FileLock(self._folder / "lock"):  # others on this machine wait, and find the files
            for item in items:
                target = tree / os.path.normpath(item.path).lstrip("/")
                if not item.sha256:
                    target.mkdir(parents=True, exist_ok=True)
                elif not _holds(target, item):  # one by one, as a user may have deleted some of them
                    self._link(item, target)
        return tree

    def _link(self, item: Item, target: Path) -> None:
        """Link a file to its path in the tree, from the files that are kept by sha256."""
        kept = self._folder / "files" / item.sha256
        if not _holds(kept, item):
            kept.parent.mkdir(exist_ok=True)
            _receive(item, self._files, kept)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        try:
            os.link(kept, target)
        except OSError:  # a file system without links, or too many links to one file
            shutil.copyfile(kept, target)

    def _make_scratch(self) -> Path:
        """Create a run folder for this process, and remove those of processes that have ended."""
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
    """Write a file part by part; it gets its name only when it is complete."""
    found, size = hashlib.sha256(), 0
    part = target.with_name(f"{target.name}.part")
    part.unlink(missing_ok=True)  # left by a killed process, perhaps write-protected already
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


def _holds(file: Path, item: Item) -> bool:
    return file.is_file() and file.stat().st_size == item.bytes


def _writable(folder: Path) -> bool:
    """Tell whether a folder, or its first existing parent, may be written."""
    existing = next(each for each in (folder, *folder.parents) if sees(str(each), {"": -1}))
    return os.access(existing, os.W_OK)


def _mapped(value: Any, change: Callable[[str], str]) -> Any:
    """Change every text within plain data: dataclasses, mappings with their keys, sequences and sets."""
    if isinstance(value, Enum):  # some enums are strings
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
