"""Try the package with its lowest or newest allowed versions: `python -m tests.packaging.versions lowest`.

Makes a virtual environment, installs this checkout into it with every dependency at that version, runs a part of
`quickstart` and the tests of the metrics, and prints the versions that were tried. It downloads several GB.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TESTS = ("tests/plugins/test_metrics_preparation.py", "tests/host/suite", "tests/host/contract")


def pins(which: str) -> list[str]:
    """Return the requirements of the package: at their lowest versions, or as they are."""
    required = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    return [each.replace(">=", "==") if which == "lowest" else each for each in required]


def main() -> int:
    """Install and try; return the first exit code that is not 0."""
    which = sys.argv[1] if len(sys.argv) > 1 else ""
    if which not in {"lowest", "newest"}:
        sys.exit("usage: python -m tests.packaging.versions lowest|newest")
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        python = Path(folder, "bin", "python")
        install = [str(python), "-m", "pip", "install", "--quiet", "--upgrade"]
        subprocess.run(
            [*install, "-e", str(ROOT), *pins(which), "pytest", "pytest-timeout", "hypothesis"], check=True
        )
        frozen = subprocess.run(
            [str(python), "-m", "pip", "freeze"], capture_output=True, text=True, check=True
        ).stdout
        names = {re.split(r"[>=<]", each)[0].lower().replace("-", "_") for each in pins(which)}
        tried = [
            line for line in frozen.splitlines() if line.partition("==")[0].lower().replace("-", "_") in names
        ]
        print(f"Python {sys.version.split()[0]}:", ", ".join(tried), flush=True)
        run = [
            str(python),
            "-m",
            "restorebench",
            "run",
            "quickstart",
            "--limit",
            "1",
            "--out",
            f"{folder}/run",
            "-q",
        ]
        tests = [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", *TESTS]
        codes = [subprocess.run(command, cwd=ROOT, check=False).returncode for command in (run, tests)]
    print(f"quickstart: exit {codes[0]}; tests: exit {codes[1]}")
    return next((code for code in codes if code), 0)


if __name__ == "__main__":
    sys.exit(main())
