"""Named rules that pair degraded with clean images.

A rule derives a key from the file names of both sides; files with equal keys in the same subfolder are a pair. A
name that does not follow the rule has no key. Files are never paired by their position in a sorted list.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from restorebench_datasets.samples import few

Key = Callable[[str], str | None]


@dataclass(frozen=True)
class Rule:
    """A rule for the keys of one layout. many_to_one: several degraded images may share a clean one."""

    degraded_key: Key
    clean_key: Key
    many_to_one: bool = False


def _whole(stem: str) -> str | None:
    return stem


def _capture(pattern: str) -> Key:
    """Return a key function that gives the group `key` if the whole stem matches the pattern, else None."""
    compiled = re.compile(pattern, re.IGNORECASE)

    def key(stem: str) -> str | None:
        match = compiled.fullmatch(stem)
        return match["key"] if match else None

    return key


_NUMBER = r"0*(?P<key>[0-9]+)"  # compared as a number: 1 and 001 are equal
_FLOAT = r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)"

RULES: Mapping[str, Rule] = {
    "stem": Rule(_whole, _whole),
    "sots": Rule(_capture(rf"(?P<key>[^_]+)_{_FLOAT}_{_FLOAT}"), _capture(r"(?P<key>[^_]+)"), many_to_one=True),
    "rain100": Rule(_capture(rf"rain-{_NUMBER}(?:x2)?"), _capture(rf"norain-{_NUMBER}")),
    "raindrop": Rule(_capture(rf"{_NUMBER}_rain"), _capture(rf"{_NUMBER}_clean")),
    "srd": Rule(_whole, _capture(r"(?P<key>.+)_(?:no_shadow|free)")),
    "lolv2-real": Rule(_capture(rf"low{_NUMBER}"), _capture(rf"normal{_NUMBER}")),
    "rain1400": Rule(_capture(r"(?P<key>.+)_[0-9]+"), _whole, many_to_one=True),
    "istd": Rule(_whole, _whole),  # only the names of its folders are special, see folders.py
}


def match(degraded: Sequence[str], clean: Sequence[str], rule: Rule) -> tuple[dict[str, str], list[str]]:
    """Pair relative paths without extension; return {degraded: clean} and a list of problems, in words.

    There is no problem if every file on both sides is used, and every clean file only once unless the rule is
    many-to-one.
    """
    degraded_keys = {stem: _key(stem, rule.degraded_key) for stem in degraded}
    clean_keys = {stem: _key(stem, rule.clean_key) for stem in clean}
    by_key: dict[str, list[str]] = {}
    for stem, key in clean_keys.items():
        if key is not None:
            by_key.setdefault(key, []).append(stem)
    wanted = {key for key in degraded_keys.values() if key is not None}
    pairs = {s: by_key[key][0] for s, key in degraded_keys.items() if key is not None and key in by_key}
    uses: dict[str, list[str]] = {}
    for stem, partner in pairs.items():
        uses.setdefault(partner, []).append(stem)

    complaints = {
        "degraded without a clean partner": [stem for stem in degraded if stem not in pairs],
        "clean without a degraded partner": [stem for stem, key in clean_keys.items() if key not in wanted],
        "clean files with the same key": [s for stems in by_key.values() if len(stems) > 1 for s in stems],
        "degraded files that share one clean file": [
            s for stems in uses.values() if len(stems) > 1 and not rule.many_to_one for s in stems
        ],
    }
    return pairs, [f"{len(stems)} {what}: {few(stems)}" for what, stems in complaints.items() if stems]


def fitting_rules(degraded: Sequence[str], clean: Sequence[str]) -> list[str]:
    """Return the names of the rules under which all files match."""
    return [name for name, rule in RULES.items() if not match(degraded, clean, rule)[1]]


def _key(stem: str, key: Key) -> str | None:
    """Apply a rule to the last part of a relative path, keeping its folder."""
    path = PurePosixPath(stem)
    found = key(path.name)
    return None if found is None else (path.parent / found).as_posix()
