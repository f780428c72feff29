"""Print how far all is from published arrays: `python -m tests.parity.diffbir FOLDER [NAME ...]`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from tests.parity import comparing
from tests.parity.diffbir.subjects import SUBJECTS, compare


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a row per comparison; return 1 if one is further off than allowed."""
    return comparing.command(
        "python -m tests.parity.diffbir",
        __doc__,
        SUBJECTS,
        lambda name, folder: compare(name, comparing.Fixtures(folder)),
        arguments,
    )


if __name__ == "__main__":
    sys.exit(main())
