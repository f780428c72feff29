"""The command line: parse, call, print, exit code. No logic of its own."""

from __future__ import annotations

import errno
import sys
from typing import Annotated

import typer

from restorebench.cli import (
    calibrating,
    comparing,
    differing,
    explaining,
    images,
    information,
    plotting,
    publishing,
    results,
    runs,
    showing,
    site,
)
from restorebench.contract.errors import RestorebenchError
from restorebench.toolbox.cells import visible

app = typer.Typer(
    name="restorebench",
    help="Compare image restoration methods per degradation, under named metric protocols.",
    epilog="Exit codes: 0 success; 1 a bug; 2 a problem that you can fix, nothing is lost; 3 done, but some images"
    " or plugins failed; 130 interrupted by Ctrl-C, 143 by SIGTERM, finished work is kept.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from restorebench import __version__

        print(f"restorebench {__version__}")
        raise typer.Exit


@app.callback()
def _everywhere(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    pass


for module in (
    runs,
    comparing,
    showing,
    differing,
    plotting,
    publishing,
    results,
    site,
    images,
    explaining,
    calibrating,
    information,
):
    module.register(app)

_FIXABLE_BY_USER = {
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOSPC,
    errno.EDQUOT,
    errno.ENAMETOOLONG,
    errno.ELOOP,
}


def main() -> None:
    """Run the command line; a user's mistake becomes one line and exit code 2."""
    try:
        app()
    except RestorebenchError as error:
        print(f"restorebench: {visible(str(error), keep=chr(10))}", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:  # the reader of our output, such as `head`, has ended
        sys.stderr.close()
        sys.exit(0)
    except OSError as error:
        if error.errno not in _FIXABLE_BY_USER or error.filename is None:
            raise
        path = visible(str(error.filename))
        print(f"restorebench: {path}: {error.strerror}; correct the path or its permissions", file=sys.stderr)
        sys.exit(2)
