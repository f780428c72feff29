"""Print the differences from the published code: `python -m tests.parity.airnet FOLDER [NAME ...]`."""

from __future__ import annotations

import sys
from functools import partial

from tests.parity import comparing
from tests.parity.airnet.subjects import SUBJECTS, compare

main = partial(comparing.command, "airnet", SUBJECTS, compare)

if __name__ == "__main__":
    sys.exit(main())
