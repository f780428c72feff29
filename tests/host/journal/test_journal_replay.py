"""A journal is a set of facts: whatever their order, repeated or cut off, tables are the same."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from restorebench.journal import journal as journals
from restorebench.journal.migration import SCHEMA
from restorebench.records import Record
from restorebench.tables.board import Board, CellFacts, Column, Family, SampleFacts
from restorebench.tables.build import build
from tests.failing import failure

SAMPLES = tuple(SampleFacts(name, name[0], "captured") for name in ("a1", "a2", "b", "c", "=d"))
COLUMNS = (Column("psnr@rgb", True), Column("ssim@rgb", True))
DIGESTS = {column.name: f"digest of {column.name}" for column in COLUMNS}
CELLS = tuple(
    CellFacts(
        name, name, "nothing", "noisy", "d", "untrained", Family.BLIND, name, f"0{n}", SAMPLES, tuple(DIGESTS)
    )
    for n, name in enumerate(("identity", "other"))
)
BOARD = Board("replay", "1", ("noisy",), COLUMNS, CELLS)

SCORES = st.floats(0, 60) | st.just(float("inf")) | st.none()


@st.composite
def outcomes(draw):
    """Draw, for each image of each cell, what arrives: it works, fails, or works later."""
    arriving = []
    for cell in CELLS:
        for sample in SAMPLES:
            failed = Record(cell.digest, sample.id, 0, "failed", failure("timeout: more than 1 s for one image"))
            worked = Record(cell.digest, sample.id, 0, "ok", scores={name: draw(SCORES) for name in DIGESTS})
            if draw(st.booleans()):  # a metric may fail beside one that works
                worked = replace(
                    worked, scores={"psnr@rgb": draw(SCORES)}, unscored={"ssim@rgb": failure("error: no")}
                )
            arriving += draw(st.sampled_from(([], [failed], [worked], [failed, worked])))
    return arriving


def tables(groups):
    """Put groups of records into a new journal and return the tables as text."""
    connection = journals.sqlite3.connect(":memory:")
    connection.executescript(SCHEMA)
    journal = journals.Journal(connection, journals.Path())
    for group in groups:
        journal.add_records(group, DIGESTS)
    found = []
    for cell in CELLS:
        scores, unscored = journal.scores(cell.digest), journal.unscored(cell.digest)
        for key, record in journal.records(cell.digest).items():
            held, lost = scores.get(key, {}), unscored.get(key, {})
            known = {name: held.get(digest) for name, digest in DIGESTS.items()}
            why = {name: lost[digest] for name, digest in DIGESTS.items() if digest in lost}
            found.append(replace(record, scores=known, unscored=why) if record.status == "ok" else record)
    connection.close()
    built = build(BOARD, found)
    return [frame.to_csv() for frame in (built.leaderboard, built.records, built.failures)]


def grouped(records, sizes):
    groups, start = [], 0
    while start < len(records):
        size = sizes[len(groups) % len(sizes)]
        groups.append(records[start : start + size])
        start += size
    return groups


@settings(max_examples=20, deadline=None)
@given(
    outcomes(), st.lists(st.integers(1, 4), min_size=1, max_size=3), st.randoms(use_true_random=False), st.data()
)
def test_order_groups_duplicates_and_a_cut_change_no_table(records, sizes, draw, data):
    straight = tables(grouped(records, [1]))
    shuffled = [*records, *(draw.choices(records, k=3) if records else ())]
    draw.shuffle(shuffled)
    assert tables(grouped(shuffled, sizes)) == straight
    cut = data.draw(st.integers(0, len(shuffled)))
    again = grouped(shuffled, sizes)[:cut] + grouped(records, [1])  # killed, and all of it done once more
    assert tables(again) == straight


@settings(max_examples=20, deadline=None)
@given(outcomes(), st.randoms(use_true_random=False))
def test_the_order_of_records_changes_no_table(records, draw):
    kept = list({(record.digest, record.sample): record for record in records}.values())
    straight = [build(BOARD, kept).leaderboard.to_csv(), build(BOARD, kept).records.to_csv()]
    draw.shuffle(kept)
    assert [build(BOARD, kept).leaderboard.to_csv(), build(BOARD, kept).records.to_csv()] == straight


def test_a_journal_that_lost_a_record_makes_another_table():
    """Were tables equal for any records, the two tests above would prove nothing."""
    records = [Record("identity", "b", 0, "ok", scores={"psnr@rgb": 20.0, "ssim@rgb": 0.5})]
    assert tables([records]) != tables([])
