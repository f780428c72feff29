"""Print how far all is from the published code: `python -m restorebench_daclip.parity FOLDER [NAME ...]`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from restorebench_daclip.parity.fixtures import Fixtures
from restorebench_daclip.parity.subjects import SUBJECTS, compare


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a row per comparison; return 1 if one is further off than allowed."""
    parser = argparse.ArgumentParser(prog="python -m restorebench_daclip.parity", description=__doc__)
    parser.add_argument("folder", type=Path, help="arrays of the published code (.npz) and manifests (.json)")
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"subjects, all by default: {', '.join(SUBJECTS)}"
    )
    given = parser.parse_args(arguments)
    if unknown := [name for name in given.names if name not in SUBJECTS]:
        parser.error(f"no subject called {unknown[0]!r}; there are {', '.join(SUBJECTS)}")
    if not given.folder.is_dir():
        parser.error(f"{given.folder}: no such folder")
    failed = 0
    print("| subject | greatest error | allowed | |\n|---|---|---|---|")
    for name in given.names or SUBJECTS:
        for row in compare(name, Fixtures(given.folder)):
            failed += not row.holds
            verdict = "" if row.holds else "TOO FAR"
            print(f"| {row.subject} | {row.error:.1e} | {row.allowed:.0e} | {verdict} |", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
