"""Look up the restorers and detectors that a suite picks, and fill in the defaults of their options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from restorebench.contract.blame import blaming
from restorebench.contract.cards import Card, DetectorInfo, resolve
from restorebench.contract.catalog import Entry
from restorebench.contract.errors import RestorebenchError, UnknownName, nearest
from restorebench.contract.values import WeightFile
from restorebench.plan.additions import selectors
from restorebench.plan.lookup import Lookup, validated
from restorebench.records import row_name
from restorebench.suite.model import NOT_DETECTORS, DetectorPick, RestorerPick
from restorebench.suite.settings import Request
from restorebench.toolbox import weights
from restorebench.toolbox.contents import paths_in
from restorebench.toolbox.options import validated_options
from restorebench.toolbox.places import cache_folder

Pick = TypeVar("Pick", RestorerPick, DetectorPick)


@dataclass(frozen=True)
class Picked(Generic[Pick]):
    """A suite's pick of a restorer or detector, its entry in the catalogue, and its options with defaults."""

    pick: Pick
    entry: Entry
    options: dict[str, Any]


class Picks:
    """A lookup of restorers and detectors. notes: what is left out, and why; left_out: the same for
    optional detectors; missing: files that do not exist.
    """

    def __init__(self, lookup: Lookup, request: Request) -> None:
        self.lookup = lookup
        self.loaded = lookup.loaded
        self.suite = lookup.loaded.suite
        self.request = request
        self.notes: list[str] = []
        self.left_out: list[str] = []
        self.missing: list[str] = []

    def restorers(self) -> list[Picked[RestorerPick]]:
        """Look up the restorers, and keep those that the command line selects.

        Raises:
            UnknownName: --restorers is empty or names one that the suite does not have.
        """
        chosen: list[Picked[RestorerPick]] = []
        seen: set[str] = set()
        asked, added = self.request.restorers, self.request.added
        wanted = (*asked, *added) if asked else asked
        known = sorted({pick.label or pick.name for pick in self.suite.restorers})
        if wanted is not None and not wanted:
            raise UnknownName(f"--restorers: names none; suite {self.suite.suite} has {', '.join(known)}")
        there = {name for pick in self.suite.restorers for name in selectors(pick)}
        for name in wanted or ():
            if name not in there:
                raise UnknownName(
                    f"--restorers: suite {self.suite.suite} has no restorer {name!r}{nearest(name, there)};"
                    f" it has {', '.join(known)}"
                )
        for index, pick in enumerate(self.suite.restorers):
            label = pick.label or pick.name
            pick = pick.model_copy(update={"tell": self._told_by(pick.tell, index)})
            entry = self.lookup.entry("restorer", pick.name, "restorers", index, "name")
            options = self.lookup.options("restorer", pick.name, pick.options, "restorers", index)
            if (row := row_name(label, pick.tell)) in seen:
                where = self.loaded.at("restorers", index)
                self.lookup.problems.append(f"{where}{row!r} is listed twice; give it a `label`")
            seen.add(row)
            if entry is not None and (wanted is None or selectors(pick) & set(wanted)):
                self._note_missing_files(entry.card, options, "restorers", index)
                chosen.append(Picked(pick, entry, options))
        return chosen

    def _told_by(self, tell: str, index: int) -> str:
        """Return `tell`, with a detector's name replaced by its label; a name with several labels is a problem."""
        labels = [pick.label or pick.name for pick in self.suite.detectors]
        if tell in (*NOT_DETECTORS, *labels):
            return tell
        named = [pick.label or pick.name for pick in self.suite.detectors if pick.name == tell]
        if len(named) > 1:
            where = self.loaded.at("restorers", index, "tell")
            self.lookup.problems.append(f"{where}{tell!r} is listed as {', '.join(named)}; name one of these")
        elif not named:
            hint = "tell is nothing, task or a detector's label or name: "
            self.lookup.entry("detector", tell, "restorers", index, "tell", hint=hint)
        return named[0] if named else tell

    def detectors(self, restorers: Sequence[Picked[RestorerPick]]) -> list[Picked[DetectorPick]]:
        """Look up the detectors: those that are listed, and those that only a restorer's `tell` names."""
        chosen: dict[str, Picked[DetectorPick]] = {}
        seen: set[str] = set()
        for index, pick in enumerate(self.suite.detectors):
            label = pick.label or pick.name
            entry = self.lookup.entry("detector", pick.name, "detectors", index, "name")
            options = self.lookup.options("detector", pick.name, pick.options, "detectors", index)
            if label in seen:
                where = self.loaded.at("detectors", index)
                self.lookup.problems.append(f"{where}{label!r} is listed twice; give it a `label`")
            if label in NOT_DETECTORS:
                where = self.loaded.at("detectors", index, "label")
                self.lookup.problems.append(f"{where}{label!r} means something else under `tell`; choose another")
            seen.add(label)
            if entry is None:
                continue
            tells = any(restorer.pick.tell == label for restorer in restorers)
            if pick.optional and not tells and (file := _absent(entry.card, options)):
                self.left_out.append(
                    f"detector {label} is optional and left out: {file} is not in {cache_folder()}"
                )
            else:
                self._note_missing_files(entry.card, options, "detectors", index)
                chosen[label] = Picked(pick, entry, options)
        for told_by in dict.fromkeys(restorer.pick.tell for restorer in restorers):
            if told_by not in {*NOT_DETECTORS, *seen} and (unlisted := self._unlisted(told_by)):
                chosen[told_by] = Picked(DetectorPick(name=told_by), *unlisted)
        return list(chosen.values())

    def _note_missing_files(self, card: Card, options: Mapping[str, Any], key: str, index: int) -> None:
        """Note the paths in options that do not exist. Datasets report their own missing files."""
        with suppress(ValidationError, RestorebenchError):  # noted before, when the options were validated
            model = validated_options(card, options)
            for keys, path in paths_in({} if model is None else model.model_dump()):
                if not path.exists():
                    where = self.loaded.placed(key, index, "options", *keys)
                    self.missing.append(f"{where}{path}: no such file or folder; correct the path")

    def _unlisted(self, detector: str) -> tuple[Entry, dict[str, Any]] | None:
        """Return a detector that only a restorer's `tell` names, with its default options."""
        index = next(n for n, pick in enumerate(self.suite.restorers) if pick.tell == detector)
        try:
            entry = self.lookup.catalog.entry("detector", detector)
        except RestorebenchError:
            return None  # already noted for the restorer
        try:
            return entry, validated(entry.card, {})
        except (ValidationError, RestorebenchError) as error:
            why = _first_problem(error) if isinstance(error, ValidationError) else str(error)
            where = self.loaded.at("restorers", index, "tell")
            self.lookup.problems.append(
                f"{where}detector {detector!r}: {why}; list it under `detectors` with `options`"
            )
            return None


def _absent(card: Card, options: Mapping[str, Any]) -> str:
    """Return the name of a published file that a card needs and the cache lacks; "" if there is none."""
    resources = card.resources if isinstance(card, DetectorInfo) else None
    if resources is None:
        return ""
    with blaming(card, "naming its weights"):
        files: Sequence[WeightFile] = resolve(resources)(validated_options(card, options))
    return next((file.name for file in files if not weights.present(file, cache_folder())), "")


def _first_problem(error: ValidationError) -> str:
    first = error.errors()[0]
    return " ".join([*(f"option {part!r}:" for part in first["loc"][:1]), first["msg"]])
