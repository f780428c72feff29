"""Contents of the files that options name: a digest depends on a file's bytes, not on its path."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from restorebench.contract.errors import MissingResource
from restorebench.toolbox.digests import digest
from restorebench.toolbox.files import files_below
from restorebench.toolbox.remembered import file_digest

KeyPath = tuple[str | int, ...]
_SEVERAL = (list, tuple, set, frozenset)


class Contents:
    """Hashes of file contents; each file is hashed once, however many cells name it."""

    def __init__(self) -> None:
        self._known: dict[Path, str] = {}

    def identity(self, model: BaseModel | None) -> Any:
        """Return JSON-ready options with every path replaced by the hash of its content.

        Raises:
            MissingResource: a file may not be read.
        """
        return {} if model is None else self._replaced(model.model_dump(), model.model_dump(mode="json"))

    def files(self, model: BaseModel | None) -> dict[str, str]:
        """Map each path in options to its content: `sha256:...`, `folder:...` or `missing: PATH`."""
        return {str(path): self._of(path) for path in paths({} if model is None else model.model_dump())}

    def _replaced(self, value: Any, plain: Any) -> Any:
        """Walk through options and their JSON form side by side, and replace the paths."""
        if isinstance(value, Path):
            return self._of(value)
        if isinstance(value, Mapping):
            pairs = zip(value.values(), plain.items(), strict=True)
            return {key: self._replaced(part, form) for part, (key, form) in pairs}
        if isinstance(value, set | frozenset):  # sorted, as the order of a set differs between processes
            return sorted([self._of(part) if isinstance(part, Path) else part for part in value], key=str)
        if isinstance(value, list | tuple):
            return [self._replaced(part, form) for part, form in zip(value, plain, strict=True)]
        return plain

    def _of(self, path: Path) -> str:
        if path not in self._known:
            try:
                self._known[path] = _content(path)
            except OSError as error:
                raise MissingResource(
                    f"{error.filename or path}: cannot be read ({error.strerror}); allow reading it, or correct it"
                ) from error
        return self._known[path]


def paths(value: Any) -> list[Path]:
    """List the paths in options, as pydantic's `model_dump` gives them, at any depth."""
    return [path for _, path in paths_in(value)]


def paths_in(value: Any, keys: KeyPath = ()) -> list[tuple[KeyPath, Path]]:
    """List all paths in options, each with the keys and list indices that lead to it."""
    if isinstance(value, Path):
        return [(keys, value)]
    parts = (
        value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, _SEVERAL) else ()
    )
    return [found for key, part in parts for found in paths_in(part, (*keys, key))]


def _content(path: Path) -> str:
    """Hash a file's bytes, or the names and bytes of all files of a folder."""
    if path.is_dir():
        files = sorted(files_below(path))
        return "folder:" + digest([[file.relative_to(path).as_posix(), _hashed(file)] for file in files])
    return "sha256:" + _hashed(path) if path.exists() else f"missing: {path}"


def _hashed(path: Path) -> str:
    """Hash a file; refuse a pipe or a device, as reading it may never end.

    Raises:
        MissingResource: it is a pipe or a device.
    """
    if path.exists() and not path.is_file():
        raise MissingResource(f"{path}: is a pipe or a device, not a file; remove it, or correct the path")
    return file_digest(path)
