"""The conformance suite: hold a plugin to the contract it will be held to in a run, and to what its card says.

    import pytest
    from restorebench.testing import checks

    @pytest.mark.parametrize("check", checks("restorer", "gauss"), ids=str)
    def test_conformance(check):
        check()

A check raises ContractViolation, saying what was expected, or unittest.SkipTest where the card says that it
cannot work here. `check_restorer("gauss")` and its like run them all without pytest.
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
}


@dataclass(frozen=True)
class Check:
    """One claim about one card. Call it; it raises where the claim does not hold."""

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
    """List the checks of one card, given itself or by name. options: the card's `test_options` by default.

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
    """Run every check of a restorer; `how` is what `checks` takes. So do its siblings for the other kinds."""
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
    """Run every check of a dataset; give `options` that point at data where the defaults do not."""
    _run_all(checks("dataset", card, **how))


def _run_all(listed: Sequence[Check]) -> None:
    for check in listed:
        check()


def _entry_of(kind: str, card: Card, catalog: Catalog) -> Entry:
    """Find where a card comes from; one that no plugin offers has no source, so its import is not checked."""
    if not isinstance(card, CARD_TYPES[kind]):
        raise ContractViolation(f"a {kind} needs a {CARD_TYPES[kind].__name__}, got {type(card).__name__}")
    known = (entry for entry in catalog.of(kind) if entry.card == card)
    return next(known, Entry(kind, card, plugin="", source=""))
