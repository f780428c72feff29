"""Names of saved images: two that differ never share a file."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from restorebench.journal.layout import output_name, outputs_folder, safe_name, triple_name, triples_folder

names = st.text(alphabet="abA/_.-~@, \0é", min_size=1, max_size=6) | st.text(min_size=1, max_size=300)
marked = names.map(safe_name)  # what a naming rule gives back is the likeliest clash


@given(st.lists(st.tuples(names | marked, st.integers(0, 3)), unique=True, max_size=8))
def test_images_of_a_cell_have_files_of_their_own(keys):
    made = [output_name(*key) for key in keys]
    assert len(set(made)) == len(keys)
    assert all(len(name) <= 255 and "/" not in name and not name.startswith(".") for name in made)


@given(st.lists(st.tuples(names | marked, names | marked, names), unique=True, max_size=8))
def test_triples_have_files_of_their_own(keys):
    made = [triple_name(*key, "0" * 16) for key in keys]
    made += {f"{safe_name(sample)}.{side}.png" for sample, _, _ in keys for side in ("clean", "degraded")}
    assert len(set(made)) == len(made)
    assert all(len(name) <= 255 for name in made)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (output_name("a/b", 0), output_name("a_b", 0)),
        (output_name(safe_name("a/b"), 0), output_name("a/b", 0)),
        (output_name("a.r1", 0), output_name("a", 1)),
        (triple_name("a.b", "c", "task", "0" * 16), triple_name("a", "b.c", "task", "0" * 16)),
        (triple_name("a", "b", "task", "0" * 16), triple_name("a", "b", "task", "1" * 16)),
        (triples_folder("a", "b", "0" * 16), triples_folder("a/b", "", "0" * 16)),
        (triples_folder("a", "b", "0" * 16), triples_folder("a", "b", "1" * 16)),
        (outputs_folder("..", "t", "l", "task", "0" * 16), outputs_folder("", "t", "l", "task", "0" * 16)),
    ],
)
def test_what_used_to_share_a_file_no_longer_does(one, other):
    assert one != other


def test_the_longest_names_fit_into_a_file_name():
    assert len(triple_name("a" * 300, "b" * 300, "c" * 300, "0" * 16)) <= 255


def test_a_usual_name_is_kept():
    assert output_name("GOPR0384_11-00@3", 0) == "GOPR0384_11-00@3.png"
