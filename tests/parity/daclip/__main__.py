"""Print how far all is from the published code: `python -m tests.parity.daclip FOLDER [NAME ...]`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from tests.parity import comparing
from tests.parity.daclip.fixtures import Fixtures
from tests.parity.daclip.subjects import SUBJECTS, compare


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a row per comparison; return 1 if one is further off than allowed."""
    return comparing.command(
        "python -m tests.parity.daclip",
        __doc__,
        SUBJECTS,
        lambda name, folder: compare(name, Fixtures(folder)),
        arguments,
    )


if __name__ == "__main__":
    sys.exit(main())
