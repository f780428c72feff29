"""Print the table of hostile plugins: `python -m tests.host.boundary [options of restorebench run]`."""

import sys

from tests.host.boundary.table import main

sys.exit(main())
