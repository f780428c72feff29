"""Find all plugins, index their cards by name, and record which plugins are broken and why.

A broken plugin never stops the host. It is listed as broken, and causes an error only if a suite asks for
something that it should have provided.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

import pluggy

from restorebench.contract import hookspecs
from restorebench.contract.cards import CARD_TYPES, Card, DegradationInfo
from restorebench.contract.code import distribution, import_file
from restorebench.contract.errors import BrokenPlugin, DuplicateName, UnknownName, nearest
from restorebench.contract.tasks import TEN, TEN_NAMES, Task

_HOOKS: Mapping[str, str] = {kind: f"restorebench_{kind}s" for kind in CARD_TYPES}
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True)
class Entry:
    """One card and its origin. source: `entry:NAME` or `file:PATH`, from which it can be imported again.

    code: identifies the code: `sha256:...` for a file, name and version of a distribution, "" for our plugins.
    lacks: what `unavailable` returns, if another process has found that out; None if not.
    """

    kind: str
    card: Card
    plugin: str
    source: str
    code: str = ""
    lacks: str | None = None

    @property
    def edition(self) -> str:
        """The card's version and its code, as they enter digests."""
        return f"{self.card.version} {self.code}".rstrip()

    @property
    def unavailable(self) -> str:
        """Say which module is missing and how to install it; an empty string if none is."""
        if self.lacks is not None:
            return self.lacks
        for module, command in self.card.requires.items():
            if not _is_installed(module):
                return f"needs {module}: {command}"
        return ""


@dataclass(frozen=True)
class Broken:
    """A plugin that could not be imported or breaks the rules of the host."""

    plugin: str
    source: str
    reason: str


@dataclass(frozen=True)
class Catalog:
    """All cards by kind and name. If two plugins provide the same name, looking it up is an error."""

    entries: tuple[Entry, ...]
    broken: tuple[Broken, ...] = ()

    def entry(self, kind: str, name: str) -> Entry:
        """Return the entry of that kind and name.

        Raises:
            UnknownName: no card has the name; the message suggests the nearest names.
            DuplicateName: two plugins provide the name.
        """
        found = [entry for entry in self.entries if entry.kind == kind and entry.card.name == name]
        if len(found) == 1:
            return found[0]
        if found:
            owners = " and ".join(sorted(entry.plugin for entry in found))
            raise DuplicateName(f"{kind} {name!r} is provided by {owners}; uninstall one of them")
        hint = nearest(name, self.names(kind))
        broken = f"; broken plugins: {', '.join(b.plugin for b in self.broken)}" if self.broken else ""
        raise UnknownName(f"no {kind} called {name!r}{hint}; see `restorebench list {kind}s`{broken}")

    def find(self, kind: str, name: str) -> Any:
        """Return the card of that kind and name. Plugins receive this method as `runtime.find`."""
        return self.entry(kind, name).card

    def of(self, kind: str) -> Iterator[Entry]:
        """Yield the entries of one kind, sorted by name."""
        return iter(sorted((e for e in self.entries if e.kind == kind), key=lambda e: (e.card.name, e.plugin)))

    def names(self, kind: str) -> list[str]:
        """List the names of one kind, sorted and without repeats."""
        return sorted({entry.card.name for entry in self.entries if entry.kind == kind})

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The ten canonical tasks, followed by the tasks that degradation plugins declare."""
        declared = {
            e.card.task.name: e.card.task
            for e in self.of("degradation")
            if isinstance(e.card, DegradationInfo) and e.card.name != "composite"
        }
        return TEN + tuple(task for name, task in declared.items() if name not in TEN_NAMES)


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):  # a parent package is missing, or fails on import
        return False


@dataclass(frozen=True)
class Source:
    """A plugin that can be imported. name: `entry:NAME` or `file:PATH`. plugin: as in `Entry`."""

    name: str
    plugin: str
    given: EntryPoint | Path

    @property
    def own(self) -> bool:
        """Whether it comes with this package."""
        return not isinstance(self.given, Path) and distribution(self.given) == ""

    def entries(self) -> list[Entry]:
        """Import the plugin, and return its cards.

        Raises:
            BaseException: whatever importing it raises; a plugin may even call sys.exit.
        """
        if isinstance(self.given, Path):
            module, code = import_file(self.given)
        else:
            module, code = self.given.load(), distribution(self.given)
        return [Entry(kind, card, self.plugin, self.name, code) for kind, card in collect_cards(module)]


def sources(paths: Sequence[Path] = ()) -> list[Source]:
    """List the installed plugins, sorted by name, and those given as files, each once."""
    points = sorted(entry_points(group=hookspecs.PROJECT), key=lambda point: (point.name, point.value))
    installed = [
        Source(f"entry:{point.name}", f"{point.dist.name if point.dist else point.value} ({point.value})", point)
        for point in points
    ]
    return installed + [Source(name, str(path), path) for name, path in _files(paths).items()]


def _files(paths: Sequence[Path]) -> dict[str, Path]:
    return {f"file:{path.resolve()}": path for path in paths}


def discover(paths: Sequence[Path] = (), only: Iterable[str] | None = None) -> Catalog:
    """Import the installed plugins and those given as files, and collect their cards.

    only: import only these sources (a worker imports only the plugins that its cells name).

    >>> catalog = discover()
    >>> catalog.find("metric", "psnr").unit
    'dB'
    """
    wanted = None if only is None else set(only)
    found = sources(paths)
    if wanted is not None:
        lacking = sorted(wanted - {source.name for source in found})
        files = [Path(name[5:]) for name in lacking if name.startswith("file:")]
        found += [Source(name, str(path), path) for name, path in _files(files).items()]
        found = [source for source in found if source.name in wanted]
    return collected(found, Source.entries)


def collected(found: Iterable[Source], entries: Callable[[Source], list[Entry]]) -> Catalog:
    """Return a catalogue of plugins; one that fails is listed as broken. entries: gives the cards of one."""
    there: list[Entry] = []
    broken: list[Broken] = []
    for source in found:
        try:
            there += entries(source)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a plugin may even call sys.exit during its import
            kind = "" if isinstance(error, Undescribed) else f"{type(error).__name__}: "
            broken.append(Broken(source.plugin, source.name, f"{kind}{first_line(error)}"))
    return Catalog(tuple(there), tuple(broken))


class Undescribed(BrokenPlugin):
    """A plugin that another process could not import; the message is the reason that it gave."""


def require_unbroken(catalog: Catalog, paths: Sequence[Path]) -> None:
    """Raise BrokenPlugin if a plugin that the user gave as a file is broken."""
    asked = {f"file:{path.resolve()}" for path in paths}
    for broken in catalog.broken:
        if broken.source in asked:
            raise BrokenPlugin(f"plugin {broken.plugin} is broken: {broken.reason}")


def collect_cards(module: object) -> list[tuple[str, Card]]:
    """Register one plugin with a new manager and return its cards with their kinds.

    Each plugin has its own manager, so that its mistakes cannot affect the hooks of other plugins.
    """
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    manager.register(module)
    _refuse_misspelt_hooks(manager, module)
    cards = [
        (kind, card)
        for kind, hook in _HOOKS.items()
        for offered in getattr(manager.hook, hook)()
        for card in offered
    ]
    if not manager.get_hookcallers(module):
        raise BrokenPlugin("it implements no hook; decorate one of " + ", ".join(sorted(_HOOKS.values())))
    seen: dict[tuple[str, str], int] = defaultdict(int)
    for kind, card in cards:
        check_card(kind, card)
        seen[kind, card.name] += 1
    for (kind, name), count in seen.items():
        if count > 1:
            raise DuplicateName(f"{kind} {name!r} is offered {count} times by this plugin")
    return cards


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message."""
    return str(error).strip().split("\n", 1)[0]


def _refuse_misspelt_hooks(manager: pluggy.PluginManager, module: object) -> None:
    known = set(_HOOKS.values())
    for name in dir(module):
        marked = getattr(getattr(module, name, None), f"{hookspecs.PROJECT}_impl", None)
        if marked is not None and (hook := marked.get("specname") or name) not in known:
            raise BrokenPlugin(f"there is no hook {hook!r}{nearest(hook, known)}")
    manager.check_pending()


def check_card(kind: str, card: Card) -> None:
    """Raise BrokenPlugin unless a card is of its kind, and has a name, a version and a summary."""
    expected = CARD_TYPES[kind]
    if not isinstance(card, expected):
        raise BrokenPlugin(f"restorebench_{kind}s must return {expected.__name__}s, got {type(card).__name__}")
    if not _NAME.fullmatch(card.name):
        raise BrokenPlugin(f"{kind} name {card.name!r} is not kebab-case (a-z, 0-9, single hyphens)")
    if not card.version or not card.summary:
        raise BrokenPlugin(f"{kind} {card.name!r} needs a version and a one-sentence summary")
