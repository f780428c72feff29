"""Plugins that attack when they are imported, described or checked: each is the text of a file."""

from __future__ import annotations

from pathlib import Path

_REST = """
import os, sys, time
from pydantic import BaseModel, model_validator
from restorebench import MetricInfo, RestorerInfo, ScoringProtocol, WeightFile, hookimpl

NAME = {name!r}

def sign():
    print("SIGN " + NAME, file=sys.stderr, flush=True)

class Copies:
    def restore(self, batch):
        return batch.degraded.clone()

def load(options, runtime):
    sign()
    return Copies()

MORE = dict()
CARDS = []
{body}

@hookimpl
def restorebench_restorers():
    return [RestorerInfo(name=NAME, version="1", summary="Hostile.", load=load, **MORE), *CARDS]
"""

PATCHING = """
import restorebench.records as records
plain = records.Record.__init__
def forged(self, *given, **named):
    plain(self, *given, **named)
    object.__setattr__(self, "scores", {"psnr@rgb": 60.0})
    object.__setattr__(self, "seconds", 0.0)
"""

BODIES = {
    "patches-the-records": PATCHING + "records.Record.__init__ = forged\n",
    "patches-the-journal": PATCHING
    + """
import restorebench.journal.journal as journal
kept = journal.Journal.add_records
def add(self, made, *given):
    made = list(made)
    for each in made:
        object.__setattr__(each, "scores", {"psnr@rgb": 60.0})
    return kept(self, made, *given)
journal.Journal.add_records = add
""",
    "patches-the-tables": """
import numpy
import restorebench.tables.leaderboard as leaderboard
numpy.mean = numpy.nanmean = lambda *given, **named: 60.0
leaderboard.mean = lambda *given, **named: 60.0
""",
    "patches-the-scoring": """
import restorebench.toolbox.scoring as scoring
scoring.prepare = lambda images, *given, **named: images * 0
""",
    "patches-the-catalogue": """
import restorebench.contract.catalog as catalog
catalog.Catalog.entry = lambda self, kind, name: self.entries[0]
""",
    "patches-when-checked": PATCHING
    + """
class Options(BaseModel):
    @model_validator(mode="after")
    def check(self):
        records.Record.__init__ = forged
        return self
MORE = dict(options=Options)
""",
    "patches-when-asked-for-weights": PATCHING
    + """
def weights(options):
    records.Record.__init__ = forged
    return []
MORE = dict(resources=weights)
""",
    "brings-a-metric-to-be-imported": PATCHING
    + """
records.Record.__init__ = forged
@hookimpl
def restorebench_metrics():
    protocol = ScoringProtocol("rgb", "None.")
    return [MetricInfo(name="unused", version="1", summary="Unused.", load=load, higher_is_better=True,
                       protocols=(protocol,))]
""",
    "prints-at-import": """
print("{}" * 1000); sys.stdout.write("psnr 60\\n"); sys.stderr.write("psnr 60\\n")
""",
    "changes-the-folder": """
os.chdir("/")
""",
    "writes-a-file-at-import": """
for folder in (os.path.dirname(os.path.abspath(__file__)), "/proc/%d/cwd" % os.getppid()):
    try:
        open(os.path.join(folder, "written-by-a-plugin"), "w").write("x")
    except OSError:
        pass
""",
    "kills-at-import": """
import signal
for number in (signal.SIGKILL, signal.SIGSTOP):
    try:
        os.kill(os.getppid(), number)
    except OSError:
        pass
""",
    "leaves-a-daemon-at-import": """
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execvp("sleep", ["sleep", "987654"])
    os._exit(0)
""",
    "forges-its-description": """
import json, struct
body = json.dumps({"cards": [{"kind": "restorer", "plugin": "x", "code": "", "lacks": "",
                              "facts": {"name": "identity"}, "callables": ["load"],
                              "options": {"shape": None}}]}).encode()
if "describing" in " ".join(sys.orig_argv):
    for number in range(3, 10):
        try:
            os.write(number, struct.pack(">I", len(body)) + body)
        except OSError:
            pass
""",
}
"""Plugins that can be used, and must gain nothing by what they do."""

USELESS = {
    "closes-descriptors-at-import": """
for number in range(3, 256):
    try:
        os.close(number)
    except OSError:
        pass
""",
    "asks-for-a-module-that-runs": """
MORE = dict(requires={"hostile_module.part": "pip install hostile"})
""",
    "hangs-at-import": "time.sleep(600)\n",
    "exits-at-import": "os._exit(0)\n",
    "raises-system-exit-at-import": "sys.exit(0)\n",
    "is-called-as-another": "NAME = 'identity'\n",
    "stops-at-import": "import signal; os.kill(os.getpid(), signal.SIGSTOP)\n",
}
"""Plugins that cannot be used: a run that names them ends with one line and code 2."""


def write(folder: Path, name: str) -> Path:
    """Write one of these plugins as a file, and return its path."""
    path = folder / f"{name.replace('-', '_')}.py"
    body = {**BODIES, **USELESS}[name]
    path.write_text(_REST.replace("{name!r}", repr(name)).replace("{body}", body))
    return path
