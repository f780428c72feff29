"""What a published folder says of one row, for files that quote it elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from restorebench.contract.catalog import Catalog
from restorebench.contract.errors import UnknownName, nearest
from restorebench.plan.discovery import discovered
from restorebench.publishing.checked import true_folder
from restorebench.publishing.folder import PublishedFolder
from restorebench.tables.build import tables_of
from restorebench.tables.leaderboard import AVERAGE

Line = Mapping[str, Any]


@dataclass(frozen=True)
class Quoted:
    """A published folder, and its leaderboard computed anew: a mapping by column for every line."""

    published: PublishedFolder
    catalog: Catalog
    lines: Sequence[Line]

    @property
    def rows(self) -> list[str]:
        """The names of all rows."""
        return list(dict.fromkeys(cell.name for cell in self.published.board.cells))

    def of_row(self, row: str) -> list[Line]:
        """Return the lines of a row.

        Raises:
            UnknownName: there is no such row.
        """
        named = {(cell.restorer, cell.tell): cell.name for cell in self.published.board.cells}
        found = [line for line in self.lines if named.get((line["restorer"], line["tell"])) == row]
        if not found:
            raise UnknownName(
                f"--row {row}: {self.published.path} has no such row{nearest(row, self.rows)};"
                f" it has {', '.join(self.rows)}"
            )
        return found

    def line_of(self, row: str, task: str = AVERAGE, dataset: str | None = None) -> Line:
        """Return the one line of a row on a task; by default its average.

        Raises:
            UnknownName: there is none, or there are several and no dataset is named.
        """
        of_row = self.of_row(row)
        found = [line for line in of_row if line["task"] == task and dataset in (None, line["dataset"])]
        if len(found) == 1:
            return found[0]
        if found:
            names = ", ".join(line["dataset"] for line in found)
            raise UnknownName(f"--task {task}: row {row} has it on {names}; name one with --dataset")
        known = dict.fromkeys(f"{line['task']} of {line['dataset']}" for line in of_row)
        what = task if dataset is None else f"{task} of {dataset}"
        raise UnknownName(f"--task {task}: row {row} has no {what}; it has {', '.join(known)}")


def quoted(folder: Path) -> Quoted:
    """Read a published folder to quote it, after its files and tables are checked.

    Raises:
        PublishedFolderError: its files are not those of its checksums, or its tables do not follow from its
            records.
    """
    catalog = discovered()
    published = true_folder(folder, catalog)
    frame = tables_of(published.board, published.cells, published.detections).leaderboard
    lines = [
        {str(name): None if value is None or value != value else value for name, value in line.items()}
        for line in frame.astype(object).where(frame.notna(), None).to_dict("records")
    ]
    return Quoted(published, catalog, lines)
