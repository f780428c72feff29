"""Letters and ranks say what the pairs say, and no more."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from restorebench.tables.groups import letters, rank_bounds


def share(given_letters, one, other):
    return bool(set(given_letters[one]) & set(given_letters[other]))


@given(st.data())
def test_two_rows_share_a_letter_exactly_where_they_are_not_separated(data):
    order = data.draw(st.permutations(range(data.draw(st.integers(1, 9)))))
    pairs = list(combinations(order, 2))
    separated = {pair for pair in pairs if data.draw(st.booleans())}
    found = letters(order, separated)
    assert all(share(found, *pair) == (pair not in separated) for pair in pairs)
    assert found[order[0]].startswith("a")


def test_ties_that_are_not_transitive_overlap():
    """The first ties with the second and the second with the third, but not the first with the third."""
    assert letters([0, 1, 2, 3], [(0, 2), (0, 3), (1, 3)]) == {0: "a", 1: "ab", 2: "bc", 3: "c"}


def test_a_tie_of_rows_that_are_not_neighbours():
    """The best and the worst are not separated, for the worst varies much; the middle is below the best."""
    found = letters([0, 1, 2], [(0, 1)])
    assert not share(found, 0, 1)
    assert share(found, 0, 2)
    assert share(found, 1, 2)


def test_rank_bounds_count_what_is_surely_better_and_surely_worse():
    assert rank_bounds(4, [(0, 2), (0, 3), (1, 3)]) == [(1, 2), (1, 3), (2, 4), (3, 4)]
    assert rank_bounds(3, []) == [(1, 3)] * 3


def test_many_groups_have_names_of_their_own():
    found = letters(range(30), combinations(range(30), 2))
    assert len(set(found.values())) == 30
    assert found[25] == "z" and found[26] == "(27)"
