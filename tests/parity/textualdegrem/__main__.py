"""A table of differences from the published code: `python -m tests.parity.textualdegrem FOLDER [NAME ...]`."""

from __future__ import annotations

import sys
from functools import partial

from tests.parity import comparing
from tests.parity.textualdegrem.subjects import SUBJECTS, compare

main = partial(comparing.command, "textualdegrem", SUBJECTS, compare)

if __name__ == "__main__":
    sys.exit(main())
