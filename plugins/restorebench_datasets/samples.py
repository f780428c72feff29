"""Shared helpers of the datasets: listing images, naming files in errors, sizes, digests."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from restorebench import MissingResource, RestorebenchError, components, composite
from restorebench.toolbox.counts import counted
from restorebench.toolbox.files import files_below
from restorebench.toolbox.images import SUFFIXES
from restorebench.toolbox.remembered import image_size


def canonical(task: str) -> str:
    """Write a mixture in the order of the tables, so that `rainy+hazy` is `hazy+rainy` in folders, seeds, digests.

    Raises:
        RestorebenchError: it names a degradation twice.
    """
    names = components(task)
    if len(set(names)) != len(names):
        raise RestorebenchError(f"task {task!r} names a degradation twice; name each once")
    return composite(names)


def named_images(path: Path, suffixes: Sequence[str] = SUFFIXES) -> dict[str, Path]:
    """Map ids to files: all images of a folder, as `list_images` does, or a single file by its stem.

    A single file may have any suffix; its content decides whether it is an image.
    """
    return {path.stem: path} if path.is_file() else list_images(path, suffixes)


def list_images(folder: Path, suffixes: Sequence[str] = SUFFIXES) -> dict[str, Path]:
    """Map the relative path without extension of each image below a folder to its file, in sorted order.

    Hidden files and files without one of the suffixes are left out.

    Raises:
        MissingResource: there is no such folder.
        OSError: a folder below it may not be read.
        RestorebenchError: it holds no image, or two files differ only in their extension.
    """
    if not folder.is_dir():
        raise MissingResource(f"{folder}: no such file or folder; correct the path")
    found: dict[str, Path] = {}
    twice: list[Path] = []
    for path in sorted(files_below(folder)):
        inside = path.relative_to(folder)
        hidden = any(part.startswith(".") for part in inside.parts)
        if hidden or path.suffix.lower() not in suffixes:
            continue
        stem = inside.with_suffix("").as_posix()
        if stem in found:
            twice += [found[stem], path]
        found[stem] = path
    if twice:
        names = few(path.relative_to(folder).as_posix() for path in twice)
        raise RestorebenchError(f"{folder}: files that differ in their extension only: {names}; keep one of each")
    if not found:
        raise RestorebenchError(f"{folder}: holds no image ({', '.join(suffixes)})")
    return {stem: found[stem] for stem in sorted(found)}


@contextmanager
def readable() -> Iterator[None]:
    """Turn an OSError into a message that names the file or folder; also usable as a decorator.

    Raises:
        MissingResource: in place of any OSError.
    """
    try:
        yield
    except OSError as error:
        path, reason = error.filename or "a file", error.strerror or error
        raise MissingResource(
            f"{path}: cannot be read ({reason}); allow reading it, or correct the path"
        ) from error


def sizes(paths: Iterable[Path], crop: int | None = None) -> dict[Path, tuple[int, int]]:
    """Return the (height, width) of image files, from their headers.

    Raises:
        RestorebenchError: files that cannot be used; the message has the first five reasons and a count of others.
    """
    found: dict[Path, tuple[int, int]] = {}
    problems: list[RestorebenchError] = []
    for path in paths:
        try:
            found[path] = image_size(path)
            check_crop(path, *found[path], crop)
        except RestorebenchError as error:
            problems.append(error)
    if problems:
        raise _together(problems)
    return found


def _together(problems: Sequence[RestorebenchError], shown: int = 5) -> RestorebenchError:
    """Combine several errors into one, with a line for each."""
    lines = [str(problem) for problem in problems[:shown]]
    if len(problems) > shown:
        lines.append(f"and {counted(len(problems) - shown, 'more image')} cannot be used")
    return type(problems[0])("\n".join(lines))


def few(names: Iterable[str], shown: int = 5) -> str:
    """Join the first few names and count the rest."""
    listed = list(names)
    rest = f" and {len(listed) - shown} more" if len(listed) > shown else ""
    return ", ".join(listed[:shown]) + rest


def check_crop(path: Path, height: int, width: int, crop: int | None) -> None:
    """Refuse an image that is smaller than the crop."""
    if crop is not None and min(height, width) < crop:
        raise RestorebenchError(
            f"{path}: is {height} x {width} (height x width), smaller than the crop of {crop}; "
            "lower `crop` or remove the image"
        )


def cropped_size(height: int, width: int, crop: int | None) -> tuple[int, int]:
    """Return the (height, width) that `centre_crop` leaves."""
    return (height, width) if crop is None else (crop, crop)


def scene(file: str) -> str:
    """Return the scene name of a clean image, from its file's sha256; 48 bits suffice for millions of photographs.

    The tables resample equal scenes of all tasks and datasets together, so the scene identifies the photograph
    itself, not its name: unrelated data sets all have a 1, a 2 and a 3.
    """
    return file[:12]


def digest(**facts: Any) -> str:
    """Hash JSON-ready facts into a sha256 hex digest."""
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
