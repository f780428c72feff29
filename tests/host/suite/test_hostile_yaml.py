"""A suite or a training configuration may be anything: the answer is one line, soon, and no code runs."""

from __future__ import annotations

import time

import pytest

from restorebench.contract.errors import RestorebenchError, SuiteError
from restorebench.suite import loading as suites
from restorebench.training.config import Training
from restorebench.training.config import load as load_training

pytestmark = pytest.mark.faults

MINIMAL = "suite: mine\ndatasets: [synthetic]\n"
LAUGHS = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9))
QUOTED_NEXT = "'${a%d}'"

HOSTILE = {
    "anchors that explode": (LAUGHS, "more than 20,000 values after anchors are expanded"),
    "an anchor that contains itself": ("x: &a [*a]\n", "nested more than 40 deep, or an anchor contains itself"),
    "a million brackets": ("x: " + "[" * 900_000, "nested more than 40 deep"),
    "deep blocks": ("x:\n" + "".join(" " * n + "a:\n" for n in range(1, 900)), "nested more than 40 deep"),
    "half a million values": ("x: [" + "a," * 450_000 + "]", "more than 20,000 keys and values"),
    "a key over and over": ("seed: 1\n" * 100_000, "more than 20,000 keys and values"),
    "a key twice": ("seed: 1\nseed: 2\n", "bad.yaml:4:1: seed: given twice"),
    "a tag that makes objects": ("seed: !!python/object/apply:os.system ['exit']\n", "only plain values are read"),
    "a tag that names a function": ("seed: !!python/name:os.system ''\n", "only plain values are read"),
    "a tag of its own": (f"x: !{'y' * 500_000} 1\n", "only plain values are read"),
    "a tag on a value that is none of it": ("clean_inputs: !!bool maybe\n", "'maybe' is not a valid bool"),
    "an empty number by its tag": ("seed: !!int ''\n", "'' is not a valid int"),
    "a date by its tag": ("seed: !!timestamp foo\n", "only plain values are read"),
    "a number of 800,000 digits": (f"seed: 0x{'f' * 800_000}\n", "too large a number"),
    "a decimal of 100,000 digits": (f"seed: {'9' * 100_000}\n", "is not a valid int"),
    "a NUL byte": ("description: a\0b\n", "unacceptable character #x0000"),
    "half a character as a value": ('description: "\\ud800"\n', "half of a character"),
    "half a character as a key": ('"\\ud800": 1\n', "half of a character"),
    "a key of 100,000 characters": (f"? {'k' * 100_000}\n: 1\n", "no such key"),
    "30,000 unknown keys in all": ("x: 1\n" + "".join(f"k{n}: 1\n" for n in range(9000)), "more mistakes"),
    "references without an end": (f"description: '{'${' * 300_000}'\n", "has no closing `}`"),
    "variables that multiply": (
        "description: '${a0}'\nvariables:\n"
        + "".join(f"  a{n}: '{f'${{a{n + 1}}}' * 20}'\n" for n in range(7)) + "  a7: laugh\n",
        "more than 1,000,000 characters once variables are replaced",
    ),
    "lists of variables that multiply": (
        "description: '${a0}'\nvariables:\n"
        + "".join(f"  a{n}: [{f'{QUOTED_NEXT % (n + 1)}, ' * 20}]\n" for n in range(7)) + "  a7: laugh\n",
        "more than 1,000,000 characters once variables are replaced",
    ),
}  # fmt: skip


@pytest.mark.parametrize("text", ["!mine\nsuite: x\n", "!!set {a, b}\n", "!:\n~:\n"])
def test_a_suite_that_is_tagged_as_a_whole_is_refused(text):
    with pytest.raises(SuiteError, match=r"^bad\.yaml:\d:\d: is tagged '.*'; only plain values are read$"):
        suites.loads(text, "bad.yaml")


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_suite_is_refused_soon_and_shortly(case, observe):
    text, message = HOSTILE[case]
    began = time.process_time()
    with pytest.raises(SuiteError) as caught:
        suites.loads(MINIMAL + text, "bad.yaml")
    seconds = time.process_time() - began
    told = str(caught.value)
    observe("SuiteError", next(line for line in told.splitlines() if message in line))
    assert seconds < 5  # of this process; the slowest takes about two
    assert len(told) < 25_000
    assert max(map(len, told.splitlines())) <= 500


def test_10_mb_are_refused_before_they_are_read(tmp_path):
    path = tmp_path / "huge.yaml"
    path.write_text(MINIMAL + "# comment\n" * 1_000_000)
    for load in (lambda: suites.load(str(path)), lambda: load_training(path, Training)):
        began = time.process_time()
        with pytest.raises(SuiteError, match="larger than 1,000,000 bytes"):
            load()
        assert time.process_time() - began < 0.5


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"\xff\xfes\0", "is not UTF-8 text", id="UTF-16"),
        pytest.param(b"suite: caf\xe9\n", "is not UTF-8 text", id="Latin-1"),
        pytest.param(b"suite: a\0b\n", "unacceptable character #x0000", id="NUL"),
        pytest.param(LAUGHS.encode(), "after anchors are expanded", id="billion laughs"),
        pytest.param(b"- " * 300_000, "nested more than", id="dashes"),
        pytest.param(b"seed: !!python/object/apply:os.system ['exit']", "only plain values", id="object"),
    ],
)
def test_a_hostile_file_is_one_line_for_suites_and_for_trainings(call, tmp_path, content, message):
    path = tmp_path / "bad.yaml"
    path.write_bytes(content)
    with pytest.raises(RestorebenchError, match=message) as caught:
        load_training(path, Training)
    assert len(str(caught.value).splitlines()) == 1
    code, out, err = call("validate", path)
    assert (code, out) == (2, "")
    assert message in err
    assert "Traceback" not in err
