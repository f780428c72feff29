"""Write what rows made of images as a page that opens without a network."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence

from restorebench.commands.panels import Panel, Shown, cut, explained
from restorebench.commands.pictures import png_of
from restorebench.toolbox.cells import visible

LARGEST = 512
"""The longest side in px of what a page holds of an image; larger ones are cut around the window."""
MOST_ACROSS = 5
"""How many panels are beside each other on paper; a screen takes as many as fit."""

_PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"""

_STYLE = """
:root { color-scheme: light dark; --ink: #1a1a1a; --soft: #595959; --paper: #fff; --line: #d0d0d0; --mark: #d55e00;
  --shown: #0072b2; --code: #f3f3f3; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8e8e8; --soft: #ababab; --paper: #161616; --line: #444;
  --mark: #ff8c3b; --shown: #56b4e9; --code: #262626; } }
@media print { :root { color-scheme: light; --ink: #000; --soft: #444; --paper: #fff; --line: #bbb;
  --mark: #d55e00; --shown: #0072b2; --code: #f3f3f3; }
 }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.45 system-ui, sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 1rem; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; line-height: 1.2; } h2 { font-size: 1.2rem; margin-top: 2rem; }
h3 { font-size: 1rem; margin: 1.5rem 0 0.25rem; }
p, li, dd { max-width: 80ch; } .soft, figcaption span { color: var(--soft); }
code, pre { font: 0.85rem/1.4 ui-monospace, monospace; }
pre { background: var(--code); padding: 0.5rem 0.75rem; white-space: pre-wrap; border-radius: 4px; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 0.15rem 1rem; } dt { color: var(--soft); }
dd { margin: 0; }
.panels { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(11rem, 45%), 1fr)); gap: 0.75rem; }
.panels figure { margin: 0; max-width: 512px; } figcaption { font-size: 0.9rem; } figcaption span { display: block;
  min-height: 1.3rem; }
.whole { position: relative; display: block; }
.panels img { width: 100%; display: block; image-rendering: pixelated; }
.whole i { position: absolute; box-sizing: border-box; border: 2px solid var(--mark); }
.enlarged { margin-top: 0.4rem; border: 2px solid var(--mark); }
table { border-collapse: collapse; width: 100%; font-size: 0.92rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 0.3rem 0.45rem; border-bottom: 1px solid var(--line); vertical-align: middle; }
th { font-weight: 600; } thead th { color: var(--soft); vertical-align: bottom; min-width: 5.2rem; }
thead th.count { min-width: 4rem; } thead th:last-child { min-width: 10rem; }
tbody th { min-width: 7.5rem; } td.number, td.count, th.number, th.count { text-align: right; }
td.number, td.count { white-space: nowrap; } svg { display: block; width: 8rem; height: 0.8rem; }
@media print { body { font-size: 10pt; } table { font-size: 8pt; } h2 { margin-top: 1rem; } main { padding: 0; }
  section, figure, tr { break-inside: avoid; } h2, h3 { break-after: avoid; }
  thead th, thead th.count, tbody th { min-width: 0; overflow-wrap: normal; } svg { width: 6rem; }
  .panels { grid-template-columns: repeat(var(--across), 1fr); gap: 0.4rem; } }
@media screen and (max-width: 640px) { thead { display: none; } table, tbody { display: block; }
  tr { display: block; padding: 0.6rem 0; border-bottom: 1px solid var(--line); }
  tr > * { display: flex; justify-content: space-between; gap: 1rem; border: 0; padding: 0.1rem 0;
    text-align: right; } td::before { content: attr(data-label); color: var(--soft); text-align: left;
    flex: 0 0 auto; max-width: 45%; }
  tbody th { font-size: 1rem; }
  dl { grid-template-columns: 1fr; } dd { margin-bottom: 0.4rem; } }
"""


def escaped(text: str) -> str:
    """Return a text for HTML: harmless, and with characters that have no shape as escapes."""
    return html.escape(visible(text))


def page(title: str, body: Sequence[str]) -> bytes:
    """Return a page that loads nothing. title: text; body: parts in HTML."""
    return _PAGE.format(title=escaped(title), style=_STYLE, body="\n".join(body)).encode()


def of_images(shown: Sequence[Shown]) -> bytes:
    """Return a page with images, one below the other."""
    title = shown[0].title if len(shown) == 1 else f"{len(shown)} images side by side"
    return page(title, [f"<h1>{escaped(title)}</h1>", *(figures(each, heading=len(shown) > 1) for each in shown)])


def figures(shown: Shown, heading: bool = True, longest: int = LARGEST) -> str:
    """Return the panels of one image as a part of a page, with the enlarged window below each."""
    part = cut(shown, longest)
    told = "<br>".join(map(escaped, explained(part)))
    title = f"<h3>{escaped(part.title)}</h3>" if heading else ""
    panels = "\n".join(_panel(part, panel) for panel in part.panels)
    across = min(len(part.panels), MOST_ACROSS)
    grid = f'<div class="panels" style="--across:{across}">\n{panels}\n</div>'
    return f'<section>{title}<p class="soft">{told}</p>\n{grid}</section>'


def _panel(shown: Shown, panel: Panel) -> str:
    height, width = panel.pixels.shape[:2]
    caption = f"<figcaption>{escaped(panel.name)}<span>{escaped(panel.score)}</span></figcaption>"
    frame = enlarged = ""
    if (window := shown.window) is not None:
        place = {
            "left": window.left / width,
            "top": window.top / height,
            "width": window.width / width,
            "height": window.height / height,
        }
        sides = ";".join(f"{side}:{share:.3%}" for side, share in place.items())
        frame = f'<i style="{sides}"></i>'
        label = f"enlarged part of {panel.name}"
        enlarged = f'<div class="enlarged">{_image(png_of(window.of(panel.pixels)), label)}</div>'
    whole = f'<span class="whole">{_image(png_of(panel.pixels), panel.name)}{frame}</span>'
    return f"<figure>{caption}{whole}{enlarged}</figure>"


def _image(png: bytes, label: str) -> str:
    return f'<img alt="{escaped(label)}" src="data:image/png;base64,{base64.b64encode(png).decode()}">'
