"""The files of a published folder, and the list of their checksums."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from restorebench.contract.errors import PublishedFolderError, RunFolderError
from restorebench.journal.layout import safe_name
from restorebench.toolbox.files import file_digest, files_below

SCHEMA = 1
"""The version of the form of a published folder, in its manifest."""

MANIFEST = "manifest.json"
SUITE = "suite.yaml"
PAGE = "README.md"
SAMPLES = "samples.csv"
EXECUTIONS = "executions.csv"
DETECTIONS = "detections.csv"
IMAGES = "images"
CHECKSUMS = "checksums.sha256"
SIGNATURE = f"{CHECKSUMS}.sig"

UNLISTED = (CHECKSUMS, SIGNATURE)
"""The files that the checksums do not cover."""

_LINE = re.compile(r"([0-9a-f]{64})  (.+)")


def image_file(dataset: str, task: str, row: str, sample: str, repetition: int) -> str:
    """Return the file of a restored image, relative to the published folder."""
    parts = (safe_name(dataset), safe_name(task), safe_name(row), f"{safe_name(sample)}.{repetition}.webp")
    return str(PurePosixPath(IMAGES, *parts))


def checksums(folder: Path) -> str:
    """Return the sha256 of every file of a folder, a line each, as `sha256sum --check` reads them."""
    files = {_relative(path, folder): path for path in files_below(folder)}
    lines = [f"{file_digest(files[name])}  {name}\n" for name in sorted(files) if name not in UNLISTED]
    return "".join(lines)


def read_checksums(folder: Path) -> dict[str, str]:
    """Return the sha256 of every listed file, by its path relative to the folder.

    Raises:
        PublishedFolderError: the list cannot be read, or a line of it has another form.
    """
    path = folder / CHECKSUMS
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise PublishedFolderError(
            f"{path} cannot be read ({why}); give a folder that `restorebench publish` wrote"
        ) from error
    return dict(_listed(path, lines))


def _listed(path: Path, lines: list[str]) -> Iterator[tuple[str, str]]:
    seen = set()
    for number, line in enumerate(lines, 1):
        found = _LINE.fullmatch(line)
        name = found.group(2) if found else ""
        if found is None or name in seen or PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise PublishedFolderError(f"{path}:{number}: is no line `SHA256  FILE` of one file of the folder")
        seen.add(name)
        yield name, found.group(1)


def require_outside(target: Path) -> None:
    """Refuse a place inside a published folder, whose checksums would no longer hold.

    Raises:
        RunFolderError: names the published folder.
    """
    for above in target.absolute().parents:
        if (above / CHECKSUMS).is_file():
            raise RunFolderError(
                f"{target} would be inside the published folder {above}; give --to another folder"
            )


def against_checksums(folder: Path, listed: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield each file that is not as its checksum says, and what is wrong with it."""
    there = {_relative(path, folder): path for path in files_below(folder)}
    for name, expected in listed.items():
        if name not in there:
            yield name, "is listed and missing"
        elif file_digest(there[name]) != expected:
            yield name, "is not what its checksum says"
    for name in sorted(there.keys() - listed.keys() - set(UNLISTED)):
        yield name, f"is not listed in {CHECKSUMS}"


def _relative(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()
