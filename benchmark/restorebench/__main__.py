"""Make `python -m restorebench` do the same as `restorebench`."""

from __future__ import annotations

import sys

if __name__ == "__main__" and not sys.flags.safe_path:
    # `-m` puts the working folder first, where a stranger's data may hold a random.py or entry points of plugins.
    sys.path.pop(0)

from restorebench.cli import main  # not before the line above, or it might be found in the working folder

main()
