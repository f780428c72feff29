"""A table of differences from the published code: `python -m tests.parity.diffbir FOLDER [NAME ...]`."""

from __future__ import annotations

import sys
from functools import partial

from tests.parity import comparing
from tests.parity.diffbir.subjects import SUBJECTS, compare

main = partial(comparing.command, "diffbir", SUBJECTS, compare)

if __name__ == "__main__":
    sys.exit(main())
