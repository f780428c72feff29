"""Templates -> pages. Every text is escaped, and a page may load nothing but files of the site."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from restorebench.toolbox.cells import visible
from restorebench.toolbox.files import atomic_write_text

ASSETS = ("site.css", "site.js", "board.js", "gallery.js", "icon.svg", "noscript.css")

# Firefox takes a page that was opened from a file for an origin of its own, which 'self' does not match; on a
# server, `file:` matches nothing.
POLICY = (
    "default-src 'none'; script-src 'self' file:; style-src 'self' file:; img-src 'self' file:;"
    " base-uri 'none'; form-action 'none'"
)


class Pages:
    """Writes the pages of a site into a folder. shown: what every template is given."""

    def __init__(self, folder: Path, shown: Mapping[str, Any]) -> None:
        self._folder = folder
        self._environment = Environment(
            loader=PackageLoader("restorebench.site"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            finalize=_shown,
        )
        self._environment.filters |= {"decimals": decimals, "percent": percent, "plural": plural, "prose": prose}
        self._shown = {"policy": POLICY, **shown}

    def write(self, path: str, template: str, **facts: Any) -> None:
        """Write a page. path: of the file in the site, not quoted. facts: what the template shows."""
        up = "../" * path.count("/")
        text = self._environment.get_template(template).render(up=up, page=path, **self._shown, **facts)
        target = self._folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        atomic_write_text(target, text)

    def write_assets(self) -> None:
        """Write the style sheet and the scripts that the pages share."""
        folder = self._folder / "assets"
        folder.mkdir(parents=True, exist_ok=True)
        for name in ASSETS:
            atomic_write_text(folder / name, (files("restorebench.site") / "assets" / name).read_text("utf-8"))


def _shown(value: Any) -> Any:
    """Show what a template prints: nothing for None, and characters without a shape as escapes."""
    if value is None:
        return ""
    return visible(value, keep="\n") if isinstance(value, str) and not isinstance(value, Markup) else value


def prose(text: str) -> Markup:
    """Return the text of a card for a page: what stands between backticks is code."""
    parts = visible(text).split("`")
    if len(parts) % 2 == 0:  # a backtick without a partner
        return escape(visible(text))
    return Markup().join(Markup("<code>{}</code>").format(p) if n % 2 else escape(p) for n, p in enumerate(parts))


def decimals(value: float | None, places: int = 2, sign: bool = False) -> str:
    """Format a number with a proper minus sign; a dash where there is none."""
    if value is None or value != value:
        return "–"
    return f"{value:{'+' if sign else ''}.{places}f}".replace("-", "\u2212")


def percent(share: float | None) -> str:
    """Format a share of 1 as a percentage; a dash where there is none."""
    return "–" if share is None or share != share else f"{share * 100:.0f} %"


def plural(count: int, word: str) -> str:
    """Count things: `1 row`, `2 rows`."""
    return f"{count:,} {word if count == 1 else word + 's'}"
