"""Combine metrics and protocols into the score columns of a plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import product

from restorebench.contract.blame import blaming
from restorebench.contract.cards import MetricInfo, resolve
from restorebench.contract.catalog import Entry
from restorebench.plan.plan import ScoreColumn
from restorebench.toolbox.digests import digest


@dataclass(frozen=True)
class LaidOut:
    """The score columns, and the names of metric-protocol pairs that are not defined."""

    columns: list[ScoreColumn]
    undefined: list[str]

    def notes(self) -> list[str]:
        """Describe the undefined pairs in one note, and the columns that stay empty in one note per reason."""
        notes = []
        if self.undefined:
            notes.append(f"left out, because these metrics have no such protocol: {', '.join(self.undefined)}")
        for reason in dict.fromkeys(column.unavailable for column in self.columns if column.unavailable):
            names = ", ".join(column.name for column in self.columns if column.unavailable == reason)
            notes.append(f"{names} cannot be computed here, and stays empty: {reason}")
        return notes


def lay_out(metrics: Sequence[Entry], protocols: Sequence[str]) -> LaidOut:
    """Pair every metric with every protocol, protocol by protocol."""
    found = LaidOut([], [])
    for protocol, entry in product(protocols, metrics):
        column = _column(entry, protocol)
        if column is None:
            found.undefined.append(f"{entry.card.name}@{protocol}")
        else:
            found.columns.append(column)
    return found


def why_unavailable(card: MetricInfo) -> str:
    """Say why a metric cannot be computed here; "" if it can.

    Raises:
        BrokenPlugin: the metric's own check raises an error.
    """
    if card.unavailable is None:
        return ""
    with blaming(card, "saying whether it is available"):
        return str(resolve(card.unavailable)())


def _column(entry: Entry, protocol: str) -> ScoreColumn | None:
    """Return the column of one metric under one protocol; None if the metric does not have the protocol."""
    card = entry.card
    assert isinstance(card, MetricInfo)  # by construction: the entry's kind is metric
    found = card.protocol(protocol)
    if found is None:
        return None
    reason = why_unavailable(card)
    fields = {**asdict(found), "space": found.space.value}
    identity = digest(card.name, entry.edition, fields)
    return ScoreColumn(f"{card.name}@{protocol}", card.name, protocol, identity, None if reason else card, reason)
