"""Claims about cards of every kind, and the one claim about reporters and about figures."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import get_args

from restorebench.contract.cards import resolve
from restorebench.testing.subject import Subject
from restorebench.toolbox.options import validated_options

_HEAVY = ("torch", "numpy", "scipy", "pandas", "skimage")


def card_is_inert(subject: Subject) -> None:
    """Importing the plugin in a new process, as `restorebench list` does, imports nothing heavy such as torch."""
    if not subject.entry.source:
        return
    code = (
        "import json, sys; from restorebench.contract.catalog import discover; "
        f"broken = discover(only=[{subject.entry.source!r}]).broken; "
        f"heavy = [name for name in {_HEAVY!r} if name in sys.modules]; "
        "print(json.dumps([heavy, [plugin.reason for plugin in broken]]))"
    )
    paths = os.pathsep.join(path for path in sys.path if path)
    answer = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    heavy, broken = json.loads(answer.stdout.splitlines()[-1])
    subject.hold(not broken, f"its plugin is broken: {broken}")
    subject.hold(not heavy, f"its plugin imports {', '.join(heavy)}; import them in what `load` names")


def options_are_documented(subject: Subject) -> None:
    """Options refuse unknown keys; each has a description, and a default unless `test_options` gives one."""
    if subject.card.options is None:
        return
    model = resolve(subject.card.options)
    forbids = model.model_config.get("extra") == "forbid"
    subject.hold(forbids, "its options must refuse unknown keys: derive them from toolbox.options.PluginOptions")
    for name, field in model.model_fields.items():
        subject.hold(bool(field.description), f"option {name!r} needs a description")
        optional = not field.is_required() or name in subject.options
        subject.hold(optional, f"option {name!r} needs a default, or a value in test_options")
        both = {str, Path} <= set(get_args(field.annotation))
        subject.hold(
            not both, f"option {name!r} takes a str or a Path, so every text becomes a path: make it two options"
        )


def options_fit(subject: Subject) -> None:
    """The options under test are valid; nothing is loaded yet."""
    try:
        validated_options(subject.card, subject.options)
    except ValueError as error:  # pydantic's ValidationError is a ValueError
        raise subject.violation(f"refuses the options {dict(subject.options)}: {error}") from error


def loads(subject: Subject) -> None:
    """The reporter loads without a runtime and has a `write` method."""
    subject.hold(
        callable(getattr(subject.load(None), "write", None)), "what it loads has no `write(tables, folder)`"
    )


def draws(subject: Subject) -> None:
    """The figure loads without a runtime and has a `draw` method."""
    subject.hold(callable(getattr(subject.load(None), "draw", None)), "what it loads has no `draw(tables)`")


CLAIMS = (
    card_is_inert,
    options_are_documented,
    options_fit,
)
