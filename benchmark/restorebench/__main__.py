"""Let `python -m restorebench` do what `restorebench` does."""

from __future__ import annotations

from restorebench.cli import main

main()
