"""The folder that a site is written into: made beside it first, then put in the place of the site before."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import mkdtemp

from restorebench.contract.errors import RunFolderError
from restorebench.toolbox.files import atomic_write_text

LISTING = "site.json"
"""Lists the files of a site, so that the next one knows what it may remove."""
NO_JEKYLL = ".nojekyll"
"""Tells GitHub Pages to serve the files as they are."""


@dataclass(frozen=True)
class Kind:
    """What is made. name: of it, in messages. option: the one that names its folder. made_by: kept in LISTING."""

    name: str
    option: str
    made_by: str


SITE = Kind("site", "-o", "site")
RUN_PAGE = Kind("page of a run", "--html", "report")
_KINDS = {kind.made_by: kind for kind in (SITE, RUN_PAGE)}


def require_usable(out: Path, kind: Kind) -> None:
    """Refuse a folder that `replaced` would refuse, before any work; whether it can be written is found later.

    Raises:
        RunFolderError: `out` holds something else.
    """
    _before(out, (), kind)


@contextmanager
def replaced(out: Path, sources: Sequence[Path], kind: Kind = SITE) -> Iterator[Path]:
    """Yield an empty folder; what is written into it then takes the place of what was made in `out` before.

    Files in `out` that were not made so stay. sources: folders that `out` must not be inside of.

    Raises:
        RunFolderError: `out` holds something else, or cannot be written.
    """
    before = _before(out, sources, kind)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(mkdtemp(prefix=f".{out.name}.", suffix=".part", dir=out.parent))
        try:
            yield folder
            _finish(folder, kind)
            _move(folder, out, before)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    except OSError as error:
        what = f"{error.filename or out}: {error.strerror}"
        raise RunFolderError(f"{what}; give {kind.option} another folder") from error


def _before(out: Path, sources: Sequence[Path], kind: Kind) -> list[str]:
    """Return the files of the same kind that were made there before."""
    another = f"give {kind.option} another folder"
    for source in sources:
        if out.resolve().is_relative_to(source.resolve()) or source.resolve().is_relative_to(out.resolve()):
            raise RunFolderError(f"{out} and {source} are inside each other; {another}")
    if out.exists() and not out.is_dir():
        raise RunFolderError(f"{out} is a file; give {kind.option} a folder")
    if not (out / LISTING).is_file():
        if out.is_dir() and any(out.iterdir()):
            raise RunFolderError(f"{out} is not empty and holds no {kind.name}; {another}")
        return []
    try:
        listing = json.loads((out / LISTING).read_text(encoding="utf-8"))
        there = _KINDS[listing.get("made_by", SITE.made_by)]
        names = [name for name in listing["files"] if _inside(name)]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise RunFolderError(f"{out / LISTING} is damaged; remove {out}, or {another}") from error
    if there != kind:
        raise RunFolderError(f"{out} holds a {there.name}, not a {kind.name}; {another}")
    return names


def _inside(name: str) -> bool:
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts


def _finish(folder: Path, kind: Kind) -> None:
    """Write what lists the files, and let everybody read them."""
    atomic_write_text(folder / NO_JEKYLL, "")
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    atomic_write_text(
        folder / LISTING, json.dumps({"made_by": kind.made_by, "files": [*names, LISTING]}, indent=1) + "\n"
    )
    folder.chmod(0o755)


def _move(folder: Path, out: Path, before: Sequence[str]) -> None:
    if not out.exists():
        folder.rename(out)
        return
    new = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    others = sorted(str(name) for name in new if (out / name).exists() and name.as_posix() not in before)
    if others:
        raise RunFolderError(f"{out / others[0]} is no file of the site and is in its way; move it")
    for name in before:
        (out / name).unlink(missing_ok=True)
    for parent in sorted({each for name in before for each in (out / name).parents}, reverse=True):
        if parent.is_relative_to(out) and parent != out and parent.is_dir() and not any(parent.iterdir()):
            parent.rmdir()
    for file in new:
        (out / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).replace(out / file)
