"""Print how far all is from published arrays: `python -m restorebench_diffbir.parity FOLDER [NAME ...]`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from restorebench.toolbox import parity
from restorebench_diffbir.parity.subjects import SUBJECTS, compare


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a row per comparison; return 1 if one is further off than allowed."""
    return parity.command(
        "python -m restorebench_diffbir.parity",
        __doc__,
        SUBJECTS,
        lambda name, folder: compare(name, parity.Fixtures(folder)),
        arguments,
    )


if __name__ == "__main__":
    sys.exit(main())
