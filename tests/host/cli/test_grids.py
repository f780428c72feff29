"""Tables fit the terminal and lose nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from restorebench.cli.grids import Grid, fitted, paragraphs

NAME = st.text("abcdefgh-:", min_size=1, max_size=24)


def grid(rows, columns):
    cells = tuple(tuple(f"{r}.{c:02}" for c in range(len(columns))) for r in range(len(rows)))
    return Grid("", tuple(rows), tuple(columns), cells)


def widest(text):
    return max(map(len, text.splitlines()))


TASKS = ("motion-blurry", "hazy", "average, 3 of 10 tasks")


@pytest.mark.parametrize(
    ("columns", "begins"),
    [
        (("identity", "classical:task"), ""),
        (("a-restorer-of-a-name:daclip", "b-restorer-of-a-name:daclip"), "a-restorer"),
    ],
    ids=["as it is", "turned"],
)
def test_a_table_is_turned_where_that_fits(columns, begins):
    text = fitted(grid(TASKS, columns), 80)
    assert widest(text) <= 80
    assert text.splitlines()[2].startswith(begins or "motion-blurry")


@given(st.lists(NAME, min_size=1, max_size=14, unique=True), st.lists(NAME, min_size=1, max_size=30, unique=True))
def test_nothing_is_cut_in_80_columns(rows, columns):
    found = grid(rows, columns)
    text = fitted(found, 80)
    assert widest(text) <= 80
    for name in (*rows, *columns, *(cell for row in found.cells for cell in row)):
        assert name in text


def test_a_pipe_gets_the_table_as_it_is():
    text = fitted(grid(TASKS, [f"restorer-{n}:daclip-compact" for n in range(30)]), None)
    assert len(text.splitlines()) == 2 + len(TASKS)


def test_long_lines_are_wrapped_and_the_rest_is_indented():
    text = paragraphs(["one two three four five", "six"], 10)
    assert text.splitlines() == ["one two", "  three", "  four", "  five", "six"]


def test_names_that_could_drive_a_terminal_are_escaped():
    assert "\x1b" not in fitted(grid(["\x1b[31mred"], ["a"]), 80)
