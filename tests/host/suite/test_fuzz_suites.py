"""Suites made and mutated at random are valid or refused in clear lines, soon, and leave nothing behind.

A few examples here; `RESTOREBENCH_FUZZ=10000 pytest tests/host/test_fuzz_images.py tests/host/test_fuzz_suites.py`
for ten thousand of each.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from restorebench.contract.catalog import discover
from restorebench.contract.errors import RestorebenchError
from restorebench.plan.names import look_up
from restorebench.suite import loading as suites
from restorebench.suite.model import Suite
from restorebench.suite.settings import Request

EXAMPLES = int(os.environ.get("RESTOREBENCH_FUZZ", 0)) or 60
AT_A_TIME = 500  # hypothesis remembers all that it has tried, which would look like a leak
SUITES = [path.read_text() for path in sorted((Path(__file__).resolve().parents[3] / "suites").glob("*.yaml"))]
ODD = (
    *(
        "",
        "null",
        "~",
        "true",
        "no",
        "-1",
        "0",
        "1e999",
        ".nan",
        ".inf",
        "0x10",
        "1_000",
        "2026-11-21",
        "9" * 5000,
    ),
    *(
        "[]",
        "{}",
        "[[[]]]",
        "{a: {b: c}}",
        "*a",
        "&a x",
        "<<: *a",
        "!!int x",
        "!!python/name:os.system",
        "!x y",
        "?",
    ),
    *(
        "${data}",
        "${",
        "${a}${a}",
        "${x",
        "'",
        '"',
        "|",
        ">",
        "%",
        "@",
        "`",
        "\t",
        "\0",
        "\ud800",
        "\u202e",
        "- -",
    ),
    *("---", "...", "# ", ": ", "a: b: c", "../../x", "~nobody/x", "/dev/null", "a+b", "noisy+noisy", "x" * 3000),
    *('"\\ud800"', '"\\x1b"', "=1+1", "<script>", "&a [*a]", "{? [a]: b}", "clean", "identity"),
)
KEYS = (
    *Suite.model_fields,
    "name",
    "options",
    "label",
    "tell",
    "image_seconds",
    "path",
    "crop",
    "severities",
)

PLAIN = st.sampled_from(ODD) | st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9)
VALUES = st.recursive(
    PLAIN,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=5), inner)
    ),
    max_leaves=12,
)
MADE = st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=8)


def mutated(seed: int) -> str:
    """Return a bundled suite after one to six changes of its lines, words and characters."""
    draw = random.Random(seed)
    text = draw.choice(SUITES)
    for _ in range(draw.choice((1, 1, 2, 6))):
        lines = text.split("\n")
        index = draw.randrange(len(lines))
        line = lines[index]
        change = draw.randrange(7)
        if change == 0:
            lines[index : index + draw.choice((1, 5))] = []
        elif change == 1:
            lines[index:index] = [draw.choice(lines)] * draw.choice((1, 2, 100))
        elif change == 2:
            lines[index] = " " * draw.randrange(9) + line.lstrip()
        elif change == 3 and ":" in line:
            lines[index] = line.partition(":")[0] + ": " + draw.choice(ODD)
        elif change == 4 and ":" in line:
            lines[index] = draw.choice((*KEYS, *ODD)) + ":" + line.partition(":")[2]
        elif change == 5 and line:
            cut = draw.randrange(len(line))
            lines[index] = line[:cut] + draw.choice(ODD) + line[cut + draw.randrange(3) :]
        else:
            other = draw.choice(SUITES).split("\n")
            lines = lines[:index] + other[draw.randrange(len(other)) :]
        text = "\n".join(lines)
    return text


def bare(text: str) -> str:
    """Dump values as a suite would be written by hand: texts that look like YAML are taken for it."""
    return text.replace("'", "") if len(text) % 2 else text


TEXTS = (
    st.integers(0, 2**63).map(mutated)
    | MADE.map(lambda raw: bare(yaml.dump(raw)))
    | MADE.map(lambda raw: "suite: mine\ndatasets: [synthetic]\n" + bare(yaml.dump(raw)))
    | st.text(alphabet="abs:{}[]&*-?!|>'\"%@` \n\t0.e${}", max_size=80)
)


@pytest.mark.timeout(0)  # each example has a limit of its own
def test_a_suite_of_any_kind_is_valid_or_refused(tmp_path_factory, growth):
    path = tmp_path_factory.mktemp("suites") / "any.yaml"
    catalog = discover()

    @settings(
        max_examples=min(EXAMPLES, AT_A_TIME),
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(TEXTS, st.sampled_from((None,) * 5 * len(ODD) + ODD))
    def each(text, override):
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        overrides = () if override is None else (f"seed={override}",)
        with growth.example():
            try:  # as runner.prepare does
                loaded = suites.load(str(path), overrides, data=path.parent)
                growth.read += 1
                look_up(loaded, catalog, Request())
            except suites.InvalidSuite as error:
                assert len(str(error)) < 50_000
                if error.rest is not None:
                    growth.read += 1
                    look_up(error.rest, catalog, Request())
            except RestorebenchError as error:
                assert str(error)
                assert len(str(error)) < 50_000

    for _ in range(0, EXAMPLES, AT_A_TIME):
        each()
    assert growth.read > EXAMPLES // 20  # were nothing valid, names and options would never be looked up
