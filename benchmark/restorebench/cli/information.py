"""The commands list and doctor. Neither imports torch, numpy or pandas."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from restorebench.cli import console, options
from restorebench.contract.cards import CARD_TYPES, MetricInfo
from restorebench.contract.errors import RestorebenchError, UnknownName, nearest
from restorebench.toolbox.counts import counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pydantic.fields import FieldInfo

    from restorebench.contract.cards import Card
    from restorebench.contract.catalog import Entry

_KINDS = [f"{kind}s" for kind in CARD_TYPES]


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command("list")(list_plugins)
    app.command()(doctor)


def list_plugins(
    kind: Annotated[str, typer.Argument(help=f"{', '.join(_KINDS)}, tasks, protocols, suites or plugins.")],
    plugin: options.Plugin = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Also print options and citations.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List what is installed."""
    from restorebench.plan.discovery import discovered

    known = [*_KINDS, "tasks", "protocols", "suites", "plugins"]
    if kind not in known:
        raise UnknownName(f"nothing to list called {kind!r}{nearest(kind, known)}; try {', '.join(known)}")
    if kind == "suites":
        from restorebench.suite.loading import bundled

        _print([{"suite": name, "file": str(path)} for name, path in bundled().items()], as_json)
        return
    catalog = discovered(tuple(plugin or ()))
    if kind == "tasks":
        rows = [{"task": t.name, "title": t.title, "prompt": t.prompt} for t in catalog.tasks]
    elif kind == "protocols":
        rows = [
            {"metric": entry.card.name, "protocol": p.name, "summary": p.summary}
            for entry in catalog.of("metric")
            for p in getattr(entry.card, "protocols", ())
        ]
    elif kind == "plugins":
        rows = [
            {"plugin": name, "provides": ", ".join(f"{e.kind} {e.card.name}" for e in entries)}
            for name, entries in _by_plugin(catalog.entries).items()
        ]
    else:
        rows = [_describe(entry, verbose) for entry in catalog.of(kind.removesuffix("s"))]
    _print(rows, as_json)
    for broken in catalog.broken:
        console.tell(f"broken plugin {broken.plugin}: {broken.reason}")


def _by_plugin(entries: Sequence[Entry]) -> dict[str, list[Entry]]:
    grouped: dict[str, list[Entry]] = {}
    for entry in entries:
        grouped.setdefault(entry.plugin, []).append(entry)
    return grouped


def _describe(entry: Entry, verbose: bool) -> dict[str, Any]:
    """Return the row of a card, with the columns that its kind has."""
    card = entry.card
    row: dict[str, Any] = {"name": card.name, "version": card.version}
    if tasks := getattr(card, "tasks", None):
        row["tasks"] = "all ten" if len(tasks) == 10 else ", ".join(tasks)
    if (training := getattr(card, "training", None)) is not None:
        row["training"] = training.value
    if entry.kind in {"restorer", "detector"}:
        row["weights"] = _weights(entry)
    if unavailable := _unavailable(entry):
        row["unavailable"] = unavailable
    row["summary"] = card.summary
    if verbose:
        row |= {"plugin": entry.plugin, "licence": card.licence, "citation": card.citation}
        row["options"] = _options(card)
    return row


def _unavailable(entry: Entry) -> str:
    """Say why a card cannot be used here; "" if it can."""
    if entry.unavailable or not isinstance(entry.card, MetricInfo):
        return entry.unavailable
    from restorebench.plan.columns import why_unavailable

    try:
        return why_unavailable(entry.card)
    except RestorebenchError as error:  # one bad card must not hide the others
        return f"broken: {error}"


def _weights(entry: Entry) -> str:
    from pydantic import ValidationError

    from restorebench.contract.blame import blaming
    from restorebench.contract.cards import resolve
    from restorebench.toolbox.options import validated_options

    resources = getattr(entry.card, "resources", None)
    if resources is None:
        return ""
    try:
        model = validated_options(entry.card, {})
        with blaming(entry.card, "naming its weights"):
            files = resolve(resources)(model)
    except ValidationError:
        return getattr(entry.card, "weights", "") or "depends on its options"
    except RestorebenchError as error:  # one bad card must not hide the others
        return f"broken: {error}"
    licences = ", ".join(sorted({file.licence for file in files}))
    if not all(file.bytes for file in files):
        return f"{counted(len(files), 'file')} ({licences})"
    return f"{sum(file.bytes for file in files) / 2**20:.0f} MiB ({licences})"


def _options(card: Card) -> list[dict[str, Any]] | str:
    """List a card's options with their defaults, None for a required one; or say why they cannot be listed."""
    from restorebench.contract.blame import blaming
    from restorebench.toolbox.options import options_model

    try:
        model = options_model(card)
        with blaming(card, "giving its defaults"):
            return [_option(*item) for item in ({} if model is None else model.model_fields).items()]
    except RestorebenchError as error:
        return f"broken: {error}"


def _option(name: str, field: FieldInfo) -> dict[str, Any]:
    from pydantic import TypeAdapter

    required = field.is_required()
    default = None if required else field.get_default(call_default_factory=True, validated_data={})
    return {
        "name": name,
        "required": required,
        "default": TypeAdapter(Any).dump_python(default, mode="json", fallback=str),
        "description": field.description or "",
    }


def _cell(value: Any) -> str:
    """Format a value of a row for the table."""
    if not isinstance(value, list):
        return str(value)
    shown = [("required" if item["required"] else repr(item["default"]), item) for item in value]
    return "; ".join(f"{item['name']}={default}: {item['description']}" for default, item in shown)


def _print(rows: list[dict[str, Any]], as_json: bool) -> None:
    """Print rows as a table, or as JSON."""
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    from rich.console import Console
    from rich.table import Table

    columns = list(dict.fromkeys(key for row in rows for key in row))
    columns = [name for name in columns if any(row.get(name) for row in rows)]
    table = Table(*columns, box=None, pad_edge=False)
    table.columns[0].no_wrap = True
    for row in rows:
        table.add_row(*(_cell(row.get(name, "")) for name in columns))
    Console(width=None if sys.stdout.isatty() else 160, highlight=False, markup=False).print(table)


def doctor(
    plugin: options.Plugin = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Report on this installation: versions, devices, plugins, and what is broken."""
    facts = _installation(tuple(plugin or ()))
    if as_json:
        print(json.dumps(facts, indent=2))
    else:
        _print_installation(facts)
    if facts["broken"]:
        raise typer.Exit(3)


def _installation(plugins: Sequence[Path]) -> dict[str, Any]:
    """Collect what `doctor` reports. versions: "" for what is not installed."""
    import importlib.util
    import os
    import platform
    import shutil

    from restorebench.engine.environment import version
    from restorebench.plan.discovery import discovered
    from restorebench.suite.settings import cache_folder

    catalog = discovered(plugins)
    unavailable = [(entry, why) for entry in catalog.entries if (why := _unavailable(entry))]
    return {
        "restorebench": version("restorebench"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "supported": platform.system() == "Linux",
        "versions": {name: version(name) or "" for name in _LIBRARIES},
        "extras": {name: version(name) or "" for name in _EXTRAS},
        "cores": os.cpu_count(),
        "disk_free_gib": round(shutil.disk_usage(Path.cwd()).free / 2**30, 1),
        "cache": str(cache_folder()),
        "devices": _devices() if importlib.util.find_spec("torch") else "torch is missing",
        "plugins": {name: len(entries) for name, entries in _by_plugin(catalog.entries).items()},
        "unavailable": [{"kind": e.kind, "name": e.card.name, "reason": why} for e, why in unavailable],
        "broken": {broken.plugin: broken.reason for broken in catalog.broken},
    }


_LIBRARIES = ("torch", "torchvision", "numpy", "scipy", "scikit-image", "pandas", "pillow", "lpips")
_EXTRAS = {"ray": "ray", "diffusers": "diffbir", "transformers": "diffbir", "vl-convert-python": "report"}
"""Libraries of optional extras, with the extra that installs each."""


def _lacking(library: str) -> str:
    return f"not installed: pip install 'restorebench[{_EXTRAS[library]}]'"


def _print_installation(facts: Mapping[str, Any]) -> None:
    system = facts["platform"].partition("-")[0]
    print(f"restorebench {facts['restorebench']} on Python {facts['python']}, {facts['platform']}")
    print(f"platform: {system}{'' if facts['supported'] else ' (not supported: workers need Linux)'}")
    for name, version in facts["versions"].items():
        print(f"  {name} {version or 'MISSING: pip install -e . again'}")
    for name, version in facts["extras"].items():
        print(f"  {name} {version or _lacking(name)}")
    print(f"cores: {facts['cores']}; disk free here: {facts['disk_free_gib']} GiB")
    print(f"cache: {facts['cache']}")
    print(f"devices: {facts['devices']}")
    for name, cards in facts["plugins"].items():
        print(f"plugin {name}: {counted(cards, 'card')}")
    for entry in facts["unavailable"]:
        print(f"unavailable {entry['kind']} {entry['name']}: {entry['reason']}")
    for name, reason in facts["broken"].items():
        print(f"BROKEN plugin {name}: {reason}")


def _devices() -> str:
    """Ask torch in a separate process: importing it here would make the tests of every command slow."""
    import subprocess

    code = (
        "import torch; print(['cpu', *(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count()))])"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    return answer.stdout.strip() or f"torch does not import: {answer.stderr.strip().splitlines()[-1:]}"
