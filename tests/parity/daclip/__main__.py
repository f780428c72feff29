"""Print the differences from the published code: `python -m tests.parity.daclip FOLDER [NAME ...]`."""

from __future__ import annotations

import sys
from functools import partial

from tests.parity import comparing
from tests.parity.daclip.fixtures import Fixtures
from tests.parity.daclip.subjects import SUBJECTS, compare

main = partial(comparing.command, "daclip", SUBJECTS, compare, fixtures=Fixtures)

if __name__ == "__main__":
    sys.exit(main())
