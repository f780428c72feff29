"""What pages show of a manifest beside the facts of its board, with its form checked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter, ValidationError

from restorebench.contract.errors import PublishedFolderError
from restorebench.publishing.folder import PublishedFolder
from restorebench.publishing.layout import MANIFEST


@dataclass(frozen=True)
class Restoring:
    """How a row was made. restorer: its label; name: of the card."""

    restorer: str
    name: str
    tell: str
    plugin: str
    version: str
    options: dict[str, Any]  # any option of any plugin


@dataclass(frozen=True)
class Detecting:
    """A detector. detector: its label; name: of the card."""

    detector: str
    name: str


@dataclass(frozen=True)
class Suite:
    """The suite as it was run."""

    description: str | None = None


@dataclass(frozen=True)
class Images:
    """The images that were published. credits: whom to name beside them. notes: why others were not."""

    samples: int = 0
    credits: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class About:
    """The parts of a manifest that pages show. columns: by name, what identifies a column or why it is empty."""

    suite: Suite
    cells: tuple[Restoring, ...]
    detector_cells: tuple[Detecting, ...]
    columns: dict[str, str]
    images: Images = field(default_factory=Images)


def about_of(folder: PublishedFolder) -> About:
    """Return what the manifest of a published folder says.

    Raises:
        PublishedFolderError: a part of it has another form.
    """
    try:
        about: About = TypeAdapter(About).validate_python(dict(folder.manifest))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise PublishedFolderError(f"{folder.path / MANIFEST}: {place}: {first['msg']}") from error
    return about
