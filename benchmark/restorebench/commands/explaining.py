"""Score the same outputs under every protocol and known variant, and say which of them give a paper's number."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from restorebench.commands import outputs
from restorebench.commands.claims import Claim, Number, explained, read_numbers
from restorebench.commands.conventions import Convention, Tallies, grouped
from restorebench.contract.cards import MetricInfo
from restorebench.contract.catalog import Catalog, require_unbroken
from restorebench.contract.errors import RestorebenchError
from restorebench.plan.columns import why_unavailable
from restorebench.plan.discovery import discovered
from restorebench.suite.settings import Settings
from restorebench.toolbox.counts import counted
from restorebench.worker.jobs import ColumnSpec

if TYPE_CHECKING:
    import pandas as pd

USUAL, RAREST = 1.0, 1.85
"""The largest rarity of what is computed: of a metric without, and of one with a number to explain."""

Watch = Callable[[int, int], None]
"""It is told how many images are done, and how many there are."""


@dataclass(frozen=True)
class Explanation:
    """What `explain` found.

    conventions: each different number, by metric, the usual conventions first. claims: one per number of a paper.
    together: with several numbers, the preparations of images, in words, that go with all. images: how many were
    scored. row: which row of a run, or "". notes: what a reader must know beside.
    """

    conventions: tuple[Convention, ...]
    claims: tuple[Claim, ...]
    together: tuple[str, ...]
    images: int
    row: str = ""
    notes: tuple[str, ...] = ()

    def table(self) -> pd.DataFrame:
        """Lay the conventions out, one per row; `explains` has the numbers of a paper that a convention gives."""
        import pandas as pd

        columns = ["metric", "protocol", "departures", "rarity", "mean", "difference", "explains", "also"]
        rows = [
            (
                each.metric,
                each.protocol,
                ", ".join(each.departures),
                each.rarity,
                each.mean,
                each.difference,
                "/".join(claim.number.text for claim in self.claims if each in claim.matches),
                "; ".join(each.also),
            )
            for each in self.conventions
        ]
        return pd.DataFrame(rows, columns=columns)


def explain(
    restored: str | Path,
    clean: str | Path | None = None,
    *,
    paper: str | None = None,
    metrics: str | Sequence[str] | None = None,
    pairing: str | None = None,
    restorer: str | None = None,
    task: str | None = None,
    dataset: str | None = None,
    settings: Settings = Settings(),
    watch: Watch = lambda done, images: None,
) -> Explanation:
    """Score two folders, or the saved images of one row of a run, under every protocol and known variant.

    >>> found = explain("restored", "clean", paper="34.83")
    >>> best = found.claims[0].matches[0]
    >>> best.metric, best.protocol, round(best.mean, 2)
    ('psnr', 'y', 34.83)

    restored, clean: two folders whose files match by name; or restored alone, the folder of a run. paper: a number
    to explain, such as "31.24", or "31.24/0.912" for two metrics; its decimals say how exact it is. metrics: by
    default psnr and ssim, or the one of them that the number may be of. pairing: as for `score`. restorer (`NAME`,
    or `NAME:TELL`), task, dataset: the row of a run, as far as that is needed to tell it from the others.

    Raises:
        RestorebenchError: the folders, the run or the names cannot be used, or an image cannot be read.
    """
    numbers = () if paper is None else read_numbers(paper)
    _require_fitting(clean is None, pairing, (restorer, task, dataset))
    catalog = discovered(settings.plugins)
    require_unbroken(catalog, settings.plugins)
    cards, concerned, rarest = _asked(catalog, metrics, numbers)
    columns = _columns(cards)
    if clean is None:
        opened = outputs.of_run(Path(restored), columns, (restorer, task, dataset), settings)
    else:
        opened = outputs.of_folders(Path(restored), Path(clean), columns, pairing, settings)
    tallies = Tallies(cards)
    with opened as images:
        for done, (fits, pixels) in enumerate(images.scores(columns, rarest), 1):
            for fit, scores in fits:
                tallies.add(fit, scores, pixels)
            watch(done, len(images.files))
    found = grouped(tallies.conventions(rarest))
    if not found:
        raise RestorebenchError(f"{restored}: an image is too small for {' and '.join(cards)}; give larger ones")
    notes = (*images.notes, *_notes(tallies))
    claims, together = explained(numbers, found, concerned)
    return Explanation(found, claims, together, len(images.files), images.row, notes)


def _asked(
    catalog: Catalog, metrics: str | Sequence[str] | None, numbers: Sequence[Number]
) -> tuple[dict[str, MetricInfo], list[tuple[str, ...]], dict[str, float]]:
    """Return the cards of the metrics, the metrics that each number may be of, and how rare conventions may be."""
    asked = (metrics,) if isinstance(metrics, str) else metrics or ("psnr", "ssim")
    cards = {name: _scorable(catalog, name) for name in asked}
    concerned = [_concerned(number, cards) for number in numbers]
    rarest = {name: RAREST if any(name in names for names in concerned) else USUAL for name in cards}
    if metrics is None and numbers:
        cards = {name: card for name, card in cards.items() if rarest[name] == RAREST}
    return cards, concerned, rarest


def _columns(cards: Mapping[str, MetricInfo]) -> tuple[ColumnSpec, ...]:
    """Combine every metric with every protocol that it has."""
    return tuple(
        ColumnSpec(f"{card.name}@{protocol.name}", card.name, protocol.name)
        for card in cards.values()
        for protocol in card.protocols
    )


def _require_fitting(of_run: bool, pairing: str | None, choice: outputs.Choice) -> None:
    """Refuse what belongs to two folders for a run, and the other way round."""
    if of_run and pairing is not None:
        raise RestorebenchError("a pairing rule matches two folders; a run has its pairs already, so leave it out")
    if not of_run and any(choice):
        raise RestorebenchError("restorer, task and dataset name a row of a run; two folders have none")


def _notes(tallies: Tallies) -> Iterator[str]:
    """Say which images are of two sizes, and which protocols an image is too small for."""
    if tallies.unequal:
        how_many = counted(tallies.unequal, "image has", "images have")
        yield f"{how_many} another size than the ground truth; `score` refuses such images"
    if left_out := tallies.left_out():
        yield f"an image is too small for {', '.join(left_out)}"


def _scorable(catalog: Catalog, name: str) -> MetricInfo:
    """Return the card of a metric that needs nothing but the two images.

    Raises:
        RestorebenchError: there is no such metric, or it needs more.
    """
    card = catalog.find("metric", name)
    assert isinstance(card, MetricInfo)  # by its kind
    if card.needs_map is not None:
        raise RestorebenchError(
            f"{name} needs the {card.needs_map} of each image, which outputs alone lack; leave it out"
        )
    if reason := why_unavailable(card):
        raise RestorebenchError(f"{name} is not available: {reason}")
    return card


def _concerned(number: Number, cards: Mapping[str, MetricInfo]) -> tuple[str, ...]:
    """Name the metrics that a number may be of: those in dB if it is above 1, else the others; or all of them."""
    in_decibels = abs(number.value) > 1
    return tuple(name for name, card in cards.items() if (card.unit == "dB") == in_decibels) or tuple(cards)
