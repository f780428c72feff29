"""Draw a figure of a run from its published tables, and write it as a picture, a page or a specification."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from restorebench.contract.blame import blaming
from restorebench.contract.cards import Card
from restorebench.contract.catalog import Catalog, require_unbroken
from restorebench.contract.errors import BrokenPlugin, MissingResource, RestorebenchError, RunFolderError
from restorebench.plan.discovery import discovered
from restorebench.publishing.folder import read_published
from restorebench.publishing.layout import DETECTIONS
from restorebench.tables.build import Tables, tables_of
from restorebench.tables.published import read_tables
from restorebench.toolbox.cells import visible
from restorebench.toolbox.files import atomic_write_bytes
from restorebench.toolbox.options import loaded

PIXELS_PER_INCH = 300
_INCH, _POINTS = 96, 72  # pixels of a figure, and points of a PDF, in an inch
_EXTRA = "pip install 'restorebench[report]'"


def plot(
    kind: str,
    run: str | Path,
    file: str | Path | None = None,
    *,
    options: Mapping[str, Any] | None = None,
    plugins: Sequence[str | Path] = (),
) -> dict[str, Any]:
    """Draw a figure of a run, write it to a file if one is named, and return its Vega-Lite specification.

    >>> specification = plot("gains", "runs/noisy", "gains.json")
    >>> specification["title"]["text"]
    ['quickstart (version 4): gain over identity in psnr@rgb; 6 images of 6 scenes']

    Only the tables of the run are read, so it may come from another machine. file: ends in .svg, .pdf, .png (300
    pixels per inch), .html (interactive; works without a network) or .json (the specification itself, which needs
    no extra). options: those of the kind, such as `{"metric": "ssim", "rows": ["identity", "airnet"]}`; see
    `restorebench list figures --verbose`. plugins: Python files with further kinds.

    Raises:
        RestorebenchError: there is no such kind, the run lacks what it shows, or the file cannot be written.
    """
    paths = [Path(path) for path in plugins]
    target = None if file is None else Path(file)
    rendered = None if target is None else _writer(target)
    catalog = discovered(paths)
    require_unbroken(catalog, paths)
    card, figure = figure_of(catalog, kind, options or {})
    spec = specification(card, figure, _tables(Path(run)), run)
    if target is not None and rendered is not None:
        write(target, rendered(spec, card))
    return spec


def _tables(run: Path) -> Tables:
    """Read the tables of a run; of a published folder with what detectors predicted of each image."""
    if (run / DETECTIONS).is_file():
        published = read_published(run)
        return tables_of(published.board, published.cells, published.detections)
    return read_tables(run)


def figure_of(catalog: Catalog, kind: str, options: Mapping[str, Any]) -> tuple[Card, Any]:
    """Return the card of a kind of figure, and the object that draws it.

    Raises:
        RestorebenchError: there is no such kind, or an option is wrong.
    """
    entry = catalog.entry("figure", kind)
    if entry.unavailable:
        raise MissingResource(f"figure {kind!r} {entry.unavailable}")
    with blaming(entry.card, "loading"):
        return entry.card, loaded(entry.card, options, None)


def specification(card: Card, figure: Any, tables: Tables, run: str | Path) -> dict[str, Any]:
    """Return the Vega-Lite specification of a figure of tables. run: where they are from, for errors.

    Raises:
        RestorebenchError: the tables lack what it shows.
    """
    with blaming(card, "drawing"):
        try:
            found = figure.draw(tables)
        except RestorebenchError as error:
            raise type(error)(f"{run}: {error}") from error
    return _plain(card, found)


def _plain(card: Card, found: Any) -> dict[str, Any]:
    """Return a specification as JSON values; control characters, which no picture can hold, become escapes.

    Raises:
        BrokenPlugin: it holds other values.
    """
    try:
        spec = json.loads(json.dumps(found, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise BrokenPlugin(f"figure {card.name!r} drew what JSON cannot hold: {error}") from error
    if not isinstance(spec, dict):
        raise BrokenPlugin(f"figure {card.name!r} must draw a Vega-Lite specification, got {type(found).__name__}")
    return {key: _visible(value) for key, value in spec.items()}


def _visible(value: Any) -> Any:
    """Return a JSON value with every text in visible characters; keys are not names of anything and stay."""
    if isinstance(value, dict):
        return {key: _visible(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_visible(part) for part in value]
    return visible(value) if isinstance(value, str) else value


Writer = Callable[[Mapping[str, Any], Card], bytes]


def _writer(file: Path) -> Writer:
    """Return what makes the bytes of a file of this kind, before anything is read.

    Raises:
        RestorebenchError: the ending is not known, its library is missing, or the file cannot be written there.
    """
    ending = file.suffix.lower()
    if ending not in _WRITERS:
        known = ", ".join(_WRITERS)
        raise RestorebenchError(
            f"{file}: a figure cannot be written as {ending or 'a file without ending'!r}; end it in {known}"
        )
    require_writable(file)
    if ending != ".json":
        try:
            import vl_convert  # noqa: F401  # whether it is there
        except ImportError as error:
            raise MissingResource(f"{ending} needs the extra report: {_EXTRA}; .json works without it") from error
    return _WRITERS[ending]


def require_writable(file: Path) -> None:
    """Refuse a file that cannot be written, or a .json file that would replace something that is no figure."""
    if file.is_dir():
        raise RunFolderError(f"{file} is a folder; give the name of a file")
    if not file.parent.is_dir() or not os.access(file.parent, os.W_OK | os.X_OK):
        raise RunFolderError(
            f"{file}: {file.parent} is not a folder that can be written; make it, or give another"
        )
    if file.suffix.lower() == ".json" and file.exists():
        try:
            schema = json.loads(file.read_text(encoding="utf-8")).get("$schema", "")
        except (OSError, ValueError, AttributeError):
            schema = ""
        if "/vega-lite/" not in str(schema):
            raise RunFolderError(f"{file} exists and is no Vega-Lite specification; give another name")


def write(file: Path, data: bytes) -> None:
    """Write a file that `require_writable` accepted; it appears whole or not at all."""
    try:
        atomic_write_bytes(file, data)
    except OSError as error:
        raise RunFolderError(f"{file}: {error.strerror}; give another file") from error


def _rendered(convert: Callable[..., str | bytes], spec: Mapping[str, Any], card: Card, **how: Any) -> bytes:
    """Turn a specification into a picture; its data must be inside, none are fetched.

    Raises:
        BrokenPlugin: it is no valid specification.
    """
    try:
        drawn = convert(json.dumps(spec), allowed_base_urls=[], **how)
    except ValueError as error:
        why = " ".join([line.strip() for line in str(error).splitlines() if line.strip()][:2])
        raise BrokenPlugin(f"figure {card.name!r} drew what Vega-Lite cannot show: {why}") from error
    return drawn if isinstance(drawn, bytes) else drawn.encode()


def svg(spec: Mapping[str, Any], card: Card) -> bytes:
    """Return a figure as SVG; it needs the extra report.

    Raises:
        BrokenPlugin: the specification is not valid.
    """
    import vl_convert

    return _rendered(vl_convert.vegalite_to_svg, spec, card)


def _pdf(spec: Mapping[str, Any], card: Card) -> bytes:
    """Return a PDF in the size of the SVG; vl-convert alone would make it a third larger, a point per pixel."""
    import vl_convert

    picture = svg(spec, card).decode()
    size = re.compile(r'width="([\d.]+)" height="([\d.]+)"')
    points = size.sub(lambda s: f'width="{_points(s[1])}" height="{_points(s[2])}"', picture, count=1)
    return bytes(vl_convert.svg_to_pdf(points))


def _points(pixels: str) -> str:
    return f"{float(pixels) * _POINTS / _INCH:.3f}"


def _png(spec: Mapping[str, Any], card: Card) -> bytes:
    import vl_convert

    return _rendered(vl_convert.vegalite_to_png, spec, card, scale=PIXELS_PER_INCH / _INCH)


def _json(spec: Mapping[str, Any], card: Card) -> bytes:
    return (json.dumps(spec, indent=1, ensure_ascii=False) + "\n").encode()


_PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{title}</title>
<script>{libraries}</script>
</head>
<body>
<div id="figure"></div>
<script>
vegaEmbed("#figure", {spec}, {{mode: "vega-lite", renderer: "svg", actions: {{editor: false}}}});
</script>
</body>
</html>
"""


def _html(spec: Mapping[str, Any], card: Card) -> bytes:
    """Return a page that holds the figure and the libraries that draw it."""
    import vl_convert

    libraries = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    text = json.dumps(spec).replace("<", "\\u003c")  # or a name could end the script
    return _PAGE.format(title=card.name, libraries=libraries, spec=text).encode()


_WRITERS: Mapping[str, Writer] = {".svg": svg, ".png": _png, ".pdf": _pdf, ".html": _html, ".json": _json}
