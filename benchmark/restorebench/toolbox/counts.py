"""Counts of things in messages."""

from __future__ import annotations


def counted(number: int, one: str, many: str = "") -> str:
    """Say how many there are: `0 images`, `1 image`, `2 images`.

    one: what follows a 1. many: what follows any other number, where it is not the same with an s.
    """
    return f"{number} {one if number == 1 else many or f'{one}s'}"
