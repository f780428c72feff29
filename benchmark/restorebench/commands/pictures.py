"""Draw panels side by side as a PNG file, at the pixels that they have or enlarged by a whole number."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont

from restorebench.commands.panels import Panel, Shown, cut, explained
from restorebench.contract.errors import RestorebenchError

if TYPE_CHECKING:
    Pixels = np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]

LARGEST = 1024
"""The longest side in px of what is drawn of an image. Larger ones are cut around the window, not made smaller."""
ENLARGED_TO = 256
"""Smaller images are enlarged by the largest whole number with which their longer side is at most this, in px."""
MOST_PIXELS = 250_000_000
WIDE = 2400
"""Panels continue on a new line beyond this width in px, but a line has at least four."""
_LEAST_WIDTH = 176  # of a panel, in px, for its name
_GAP, _TEXT, _TITLE = 12, 15, 18
_LONGEST_NAME = 120  # characters
_INK, _SOFT, _PAPER, _MARK = "#1a1a1a", "#595959", "#ffffff", "#d55e00"


def png_of(pixels: Pixels) -> bytes:
    """Return (H, W, 3) as the bytes of a PNG file."""
    file = io.BytesIO()
    PIL.Image.fromarray(pixels).save(file, format="PNG")
    return file.getvalue()


def png(shown: Sequence[Shown]) -> bytes:
    """Draw images, one below the other.

    Raises:
        RestorebenchError: the picture would be too large.
    """
    blocks = [_Block(cut(each, LARGEST)) for each in shown]
    width, height = max(b.width for b in blocks), sum(b.height for b in blocks)
    if width * height > MOST_PIXELS:
        raise RestorebenchError(
            f"the picture would have {width} x {height} px; name fewer images, or fewer rows with --row"
        )
    canvas = PIL.Image.new("RGB", (width, height), _PAPER)
    top = 0
    for block in blocks:
        block.draw(canvas, top)
        top += block.height
    return png_of(np.asarray(canvas))


class _Block:
    """One image with its panels, laid out in lines."""

    def __init__(self, shown: Shown) -> None:
        height, width = shown.panels[0].pixels.shape[:2]
        self._shown = shown
        self._scale = max(1, ENLARGED_TO // max(height, width))
        self._size = width * self._scale, height * self._scale
        window = shown.window
        self._zoom = 0 if window is None else max(1, self._size[0] // window.width)
        self._step = max(self._size[0], _LEAST_WIDTH) + _GAP
        count = len(shown.panels)
        self._across = min(count, max(4, WIDE // self._step))
        self.width = self._across * self._step + _GAP
        font, self._title_font = _font(_TEXT), _font(_TITLE)
        self._font = font
        self._labels = [_wrapped(_shortened(panel.name), font, self._step - _GAP) for panel in shown.panels]
        self._label_height = (max(map(len, self._labels)) + 1) * _line(font)
        enlarged = 0 if window is None else window.height * self._zoom + _GAP // 2
        self._line_height = self._label_height + self._size[1] + enlarged + _GAP
        self._title = _wrapped(_shortened(shown.title), self._title_font, self.width - 2 * _GAP)
        told = (_wrapped(line, font, self.width - 2 * _GAP) for line in explained(shown))
        self._told = [line for lines in told for line in lines]
        lines = -(-count // self._across)
        self._above = _GAP + len(self._title) * _line(self._title_font) + len(self._told) * _line(font) + _GAP
        self.height = self._above + lines * self._line_height + _GAP

    def draw(self, canvas: PIL.Image.Image, top: int) -> None:
        """Draw the block on a canvas from a line on."""
        pen = PIL.ImageDraw.Draw(canvas)
        y = _written(pen, (_GAP, top + _GAP), self._title, self._title_font, _INK)
        _written(pen, (_GAP, y), self._told, self._font, _SOFT)
        for number, (panel, label) in enumerate(zip(self._shown.panels, self._labels, strict=True)):
            left = _GAP + number % self._across * self._step
            self._panel(canvas, left, top + self._above + number // self._across * self._line_height, panel, label)

    def _panel(self, canvas: PIL.Image.Image, left: int, top: int, panel: Panel, label: Sequence[str]) -> None:
        pen = PIL.ImageDraw.Draw(canvas)
        y = _written(pen, (left, top), label, self._font, _INK)
        _written(pen, (left, y), [panel.score], self._font, _SOFT)
        top += self._label_height
        canvas.paste(_enlarged(panel.pixels, self._scale), (left, top))
        if (window := self._shown.window) is None:
            return
        x, y = left + window.left * self._scale, top + window.top * self._scale
        right, bottom = x + window.width * self._scale, y + window.height * self._scale
        pen.rectangle((x - 1, y - 1, right, bottom), outline=_MARK, width=1)
        canvas.paste(_enlarged(window.of(panel.pixels), self._zoom), (left, top + self._size[1] + _GAP // 2))


def _enlarged(pixels: Pixels, times: int) -> PIL.Image.Image:
    """Repeat every pixel, so that none is invented."""
    return PIL.Image.fromarray(pixels.repeat(times, axis=0).repeat(times, axis=1))


def _font(size: int) -> Any:  # Any: Pillow's own type depends on how it was built
    return PIL.ImageFont.load_default(size)


def _line(font: Any) -> int:
    return int(font.size * 1.35)


def _written(
    pen: PIL.ImageDraw.ImageDraw, at: tuple[int, int], lines: Sequence[str], font: Any, colour: str
) -> int:
    """Write lines of text; return where the next one begins."""
    x, y = at
    for line in lines:
        pen.text((x, y), line, font=font, fill=colour)
        y += _line(font)
    return y


def _shortened(name: str) -> str:
    if len(name) <= _LONGEST_NAME:
        return name
    return f"{name[: _LONGEST_NAME // 2]} ... {name[-_LONGEST_NAME // 2 :]}"


def _wrapped(text: str, font: Any, width: int) -> list[str]:
    """Break a text into lines that fit, at blanks where possible; what the font lacks is written as escapes."""
    lines = [""]
    for word in _drawable(text, font).split(" "):
        longer = f"{lines[-1]} {word}" if lines[-1] else word
        if font.getlength(longer) <= width:
            lines[-1] = longer
            continue
        lines.append("")
        for letter in word:
            if font.getlength(lines[-1] + letter) > width:
                lines.append("")
            lines[-1] += letter
    return [line for line in lines if line] or [""]


def _drawable(text: str, font: Any) -> str:
    """Replace characters that the font draws as an empty box, or that have no shape, by escapes."""
    missing = font.getmask("\U0010fffe")
    box = bytes(missing)
    return "".join(
        each
        if each == " " or (each.isprintable() and bytes(font.getmask(each)) != box)
        else each.encode("unicode_escape").decode()
        for each in text
    )
