"""The images of a comparison that are worth a look, and the commands that show them."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from restorebench.commands.comparing import Comparison
from restorebench.journal.layout import safe_name


@dataclass(frozen=True)
class LookedAt:
    """An image on which a row is ahead. name: as `show` takes it. a, b: the scores of the two rows."""

    name: str
    a: float
    b: float


@dataclass(frozen=True)
class Look:
    """The images on which one row is ahead the most. command: shows them, quoted for a shell."""

    ahead: str
    images: tuple[LookedAt, ...]
    command: str


def looks(found: Comparison) -> Iterator[Look]:
    """Return a look for each of the two rows that is ahead anywhere."""
    several = found.images.groupby("task").dataset.nunique().to_dict()
    ahead: dict[str, list[LookedAt]] = {found.a: [], found.b: []}
    for row in found.images.to_dict("records"):
        name = f"{row['task']}/{row['sample']}"
        if several[row["task"]] > 1:
            name = f"{row['dataset']}/{name}"
        better = found.a if (row["difference"] > 0) == found.column.higher_is_better else found.b
        ahead[better].append(LookedAt(name, row["a"], row["b"]))
    for who, images in ahead.items():
        if images:
            yield Look(who, tuple(images), _command(found, who, images))


def _command(found: Comparison, ahead: str, images: Sequence[LookedAt]) -> str:
    """Return the command that shows images as both rows restored them."""
    (run, a), (other_run, b) = found.sides
    words = ["restorebench", "show", _path(run), *(image.name for image in images), "--row", a]
    words += ["--row", b] if other_run == run else ["--also", _path(other_run), b]
    words += [] if found.metric is None else ["--metric", found.metric]
    return " ".join(map(quoted, [*words, "-o", f"ahead-{safe_name(ahead)}.png"]))


def _path(folder: Path) -> str:
    """Return a path that no command takes for an option."""
    return f"./{folder}" if str(folder).startswith("-") else str(folder)


def quoted(word: str) -> str:
    """Quote a word for a shell; one with characters that have no shape as `$'...'`, as bash and zsh read it."""
    if word.isprintable():
        return shlex.quote(word)
    return "$'" + "".join(map(_letter, word)) + "'"


def _letter(each: str) -> str:
    if each in "\\'":
        return f"\\{each}"
    if each.isprintable():
        return each
    code = ord(each)
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
