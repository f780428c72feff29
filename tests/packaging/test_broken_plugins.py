"""A plugin that is broken is named with its reason, stops nobody else, and is an error once it is asked for."""

from __future__ import annotations

import pytest

CARD = 'RestorerInfo(name="{name}", version="1", summary="Does.", load="nowhere:nothing")'
PLUGIN = """\
from restorebench import MetricInfo, RestorerInfo, hookimpl


@hookimpl
def {hook}():
    return [{card}]
"""


def plugin(hook="restorebench_restorers", name="sound", card=CARD):
    return PLUGIN.format(hook=hook, card=card.format(name=name))


BROKEN = {
    "syntax-error": ("def broken(:\n", "SyntaxError"),
    "import-error": ("import no_such_module\n", "no_such_module"),
    "error-at-import": ("1 / 0\n", "ZeroDivisionError"),
    "exit-at-import": ("import sys\nsys.exit(0)\n", "SystemExit"),
    "no-hook": ("answer = 42\n", "implements no hook"),
    "misspelt-hook": (plugin(hook="restorebench_restorer"), "(nearest: restorebench_restorers"),
    "hook-that-raises": (plugin(card="missing"), "NameError"),
    "card-of-another-kind": (plugin(hook="restorebench_metrics"), "must return MetricInfos, got RestorerInfo"),
    "not-a-card": (plugin(card='"identity"'), "must return RestorerInfos, got str"),
    "not-kebab-case": (plugin(name="My_Method"), "'My_Method' is not kebab-case"),
    "missing-field": (plugin(card='RestorerInfo(name="sound")'), "TypeError"),
    "same-name-twice": (plugin(card=f"{CARD}, {CARD}"), "'sound' is offered 2 times"),
}


@pytest.fixture(params=BROKEN, ids=list(BROKEN))
def broken(request, tmp_path):
    """A broken plugin's file, and what has to be said of it."""
    source, reason = BROKEN[request.param]
    path = tmp_path / f"{request.param}.py"
    path.write_text(source)
    return path, reason


def test_listing_names_the_file_and_the_reason(broken, python):
    path, reason = broken
    answer = python("-m", "restorebench", "list", "restorers", "--plugin", path)
    assert answer.returncode == 0
    assert "identity" in answer.stdout
    (line,) = answer.stderr.splitlines()
    assert str(path) in line
    assert reason in line


def test_running_with_it_is_one_line_and_exit_code_2(broken, python):
    path, reason = broken
    answer = python("-m", "restorebench", "run", "quickstart", "--dry-run", "--plugin", path)
    assert answer.returncode == 2
    (line,) = answer.stderr.splitlines()
    assert str(path) in line
    assert reason in line


def test_a_file_that_is_not_there_is_named(python, tmp_path):
    answer = python("-m", "restorebench", "run", "quickstart", "--dry-run", "--plugin", tmp_path / "absent.py")
    assert answer.returncode == 2
    assert "absent.py" in answer.stderr


@pytest.fixture
def rival(tmp_path):
    """A sound plugin that claims the name `identity` too."""
    path = tmp_path / "rival.py"
    path.write_text(plugin(name="identity"))
    return path


def test_a_name_claimed_twice_is_listed_twice(rival, python):
    answer = python("-m", "restorebench", "list", "restorers", "--plugin", rival)
    assert answer.returncode == 0
    assert sum(line.startswith("identity ") for line in answer.stdout.splitlines()) == 2


def test_a_name_claimed_twice_is_an_error_that_names_both_when_it_is_asked_for(rival, python):
    answer = python("-m", "restorebench", "run", "quickstart", "--dry-run", "--plugin", rival)
    assert answer.returncode == 2
    assert str(rival) in answer.stderr
    assert "restorebench_classical" in answer.stderr


def test_a_name_claimed_twice_is_no_error_for_those_who_ask_for_another(rival, python, tmp_path):
    suite = tmp_path / "other.yaml"
    suite.write_text(
        'suite: other\nversion: "1"\ntasks: [noisy]\ndatasets: [synthetic]\nrestorers: [global-affine]\n'
    )
    answer = python("-m", "restorebench", "run", suite, "--dry-run", "--plugin", rival)
    assert answer.returncode == 0, answer.stderr
