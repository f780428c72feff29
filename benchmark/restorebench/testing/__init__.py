"""The conformance suite: checks that a plugin keeps the contract that a run enforces, and what its card says.

    import pytest
    from restorebench.testing import checks

    @pytest.mark.parametrize("check", checks("restorer", "gauss"), ids=str)
    def test_conformance(check):
        check()

A check raises ContractViolation with what was expected, or unittest.SkipTest if the card says that it cannot work
here. `check_restorer("gauss")` and the functions for other kinds run all checks without pytest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from restorebench.contract.cards import (
    CARD_TYPES,
    Card,
    DatasetInfo,
    DegradationInfo,
    DetectorInfo,
    MetricInfo,
    RestorerInfo,
)
from restorebench.contract.catalog import Catalog, Entry, discover
from restorebench.contract.errors import ContractViolation, UnknownName, nearest
from restorebench.testing import cards, datasets, degradations, detectors, metrics, restorers
from restorebench.testing.subject import Subject

_CLAIMS: Mapping[str, tuple[Callable[[Subject], None], ...]] = {
    "restorer": restorers.CLAIMS,
    "detector": detectors.CLAIMS,
    "degradation": degradations.CLAIMS,
    "metric": metrics.CLAIMS,
    "dataset": datasets.CLAIMS,
    "reporter": (cards.loads,),
    "figure": (cards.draws,),
}


@dataclass(frozen=True)
class Check:
    """One claim about one card. Call it to check the claim; it raises if the claim does not hold."""

    claim: Callable[[Subject], None]
    subject: Subject

    def __call__(self) -> None:
        """Check the claim."""
        self.claim(self.subject)

    def __str__(self) -> str:
        return self.claim.__name__


def checks(
    kind: str,
    card: str | Card,
    *,
    catalog: Catalog | None = None,
    options: Mapping[str, Any] | None = None,
    device: str = "cpu",
) -> list[Check]:
    """List the checks of one card, given as a card or by its name. options: by default the card's `test_options`.

    Raises:
        UnknownName: there is no such kind, or no installed plugin offers the name.
    """
    if kind not in CARD_TYPES:
        raise UnknownName(f"no kind of card called {kind!r}{nearest(kind, CARD_TYPES)}")
    catalog = catalog or discover()
    entry = catalog.entry(kind, card) if isinstance(card, str) else _entry_of(kind, card, catalog)
    subject = Subject(entry, catalog, entry.card.test_options if options is None else options, device)
    return [Check(claim, subject) for claim in (*cards.CLAIMS, *_CLAIMS[kind])]


def check_restorer(card: str | RestorerInfo, **how: Any) -> None:
    """Run every check of a restorer; `how`, here and in the functions below: the keyword arguments of `checks`."""
    _run_all(checks("restorer", card, **how))


def check_detector(card: str | DetectorInfo, **how: Any) -> None:
    """Run every check of a detector."""
    _run_all(checks("detector", card, **how))


def check_degradation(card: str | DegradationInfo, **how: Any) -> None:
    """Run every check of a degradation."""
    _run_all(checks("degradation", card, **how))


def check_metric(card: str | MetricInfo, **how: Any) -> None:
    """Run every check of a metric."""
    _run_all(checks("metric", card, **how))


def check_dataset(card: str | DatasetInfo, **how: Any) -> None:
    """Run every check of a dataset; give `options` that point at data if the defaults do not."""
    _run_all(checks("dataset", card, **how))


def _run_all(listed: Sequence[Check]) -> None:
    for check in listed:
        check()


def _entry_of(kind: str, card: Card, catalog: Catalog) -> Entry:
    """Find a card's catalogue entry; a card that no plugin offers has no source, so its import is not checked."""
    if not isinstance(card, CARD_TYPES[kind]):
        raise ContractViolation(f"a {kind} needs a {CARD_TYPES[kind].__name__}, got {type(card).__name__}")
    known = (entry for entry in catalog.of(kind) if entry.card == card)
    return next(known, Entry(kind, card, plugin="", source=""))
