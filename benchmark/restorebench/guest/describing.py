"""Describe one plugin: `python -m restorebench.guest.describing READ WRITE SOURCE DRIVER`.

The driver never imports the plugin of a method, as that could change the host. This process does, confined like a
guest. It sends the plugin's cards as plain data; then it checks options and names weights when it is asked.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from restorebench.contract.blame import blaming
from restorebench.contract.cards import Card, resolve
from restorebench.contract.catalog import Catalog, discover
from restorebench.contract.errors import RestorebenchError
from restorebench.guest import channel, shapes
from restorebench.guest.processes import continue_guarded
from restorebench.guest.surroundings import kept, reach
from restorebench.toolbox.options import options_model, validated_options
from restorebench.toolbox.places import cache_folder

CALLABLES = ("load", "options", "resources", "index", "credits", "unavailable", "variants")
"""Fields of cards that hold code, or its address."""


def main() -> None:
    """Describe a plugin, and answer requests until the driver closes the pipe."""
    reading, writing, source, driver = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
    scratch = continue_guarded(driver, reading, writing)
    for descriptor in (reading, writing):
        os.set_inheritable(descriptor, False)
    _settle(source, scratch)
    catalog = discover(only=[source])
    channel.send(writing, _described(catalog))
    while (request := channel.receive(reading)) is not None:
        channel.send(writing, _answer(catalog, request))


def _settle(source: str, scratch: str) -> None:
    environment = kept(os.environ)
    os.environ.clear()
    os.environ.update(environment)
    allowed = reach(source, (), cache_folder(), Path(scratch), [Path.cwd()])
    os.chdir(scratch)
    with contextlib.suppress(OSError):  # the guest of its method meets the same, and its rows say so
        allowed.enter()


def _described(catalog: Catalog) -> dict[str, Any]:
    """Return all cards as JSON-ready data, or why the plugin is broken."""
    if catalog.broken:
        return {"broken": catalog.broken[0].reason}
    return {
        "cards": [
            {
                "kind": entry.kind,
                "code": entry.code,
                "lacks": entry.unavailable,
                "facts": _facts(entry.card),
                "callables": [name for name in CALLABLES if getattr(entry.card, name, None) is not None],
                "options": _options(entry.card),
            }
            for entry in catalog.entries
        ]
    }


def _facts(card: Card) -> dict[str, Any]:
    values = {each.name: getattr(card, each.name) for each in fields(card) if each.name not in CALLABLES}
    found: dict[str, Any] = TypeAdapter(Any).dump_python(values, mode="json")
    return found


def _options(card: Card) -> dict[str, Any]:
    try:
        model = options_model(card)
        return {"shape": None if model is None else shapes.of_model(model)}
    except Exception as error:
        return {"error": _told(error)}


def _answer(catalog: Catalog, request: Mapping[str, Any]) -> dict[str, Any]:
    """Answer a request: `validate` options, or name the `weights` that a method needs with some."""
    card = catalog.find(request["kind"], request["name"])
    try:
        model = validated_options(card, request["options"])
        if request["ask"] == "weights":
            with blaming(card, "naming its weights"):
                return {"weights": [asdict(each) for each in resolve(card.resources)(model)]}
        return _dumped(model)
    except ValidationError as error:
        return {"problems": [_problem(each) for each in error.errors(include_url=False, include_context=False)]}
    except (Exception, SystemExit) as error:
        return {"error": _told(error)}


def _dumped(model: BaseModel) -> dict[str, Any]:
    plain = model.model_dump(mode="json")
    return {"plain": plain, "tagged": shapes.tagged(model.model_dump(), plain)}


def _problem(each: Any) -> dict[str, Any]:
    given: Any = TypeAdapter(Any).dump_python(each["input"], mode="json", fallback=repr)
    return {"type": each["type"], "loc": list(each["loc"]), "msg": each["msg"], "input": given}


def _told(error: BaseException) -> dict[str, str]:
    kind = type(error).__name__ if isinstance(error, RestorebenchError) else ""
    return {"kind": kind, "text": f"{error}" if kind else f"{type(error).__name__}: {error}"}


if __name__ == "__main__":
    main()
