"""A dataset whose sample ids are what a stranger might think of, and one whose ids are no text."""

import numpy as np

from restorebench import DatasetInfo, Sample, SampleInfo, hookimpl

GREY = np.full((16, 16, 3), 0.5, np.float32)
IDS = [
    "../../escaped", "/tmp/absolute", "..", ".", "~root/x", "a/../../b", "nul\0byte", "x" * 4000, "\u5b57" * 4000,
    "quotes\"'`", "commas,and;semicolons", "line\nfeed", "carriage\rreturn", "\r\n", "tab\tbetween", "\ttab first",
    "<script>alert(1)</script>", "=1+1", "+1", "-1", "@SUM(1)", "'=1", "''", "=cmd|' /C calc'!A0",
    "\u202egnp.exe", "\u05e9\u05dc\u05d5\u05dd", "\x1b[31mred\x1b[0m", "\x07bell", "a|b*c_d`e~f$g#h", "![x](http://y)",
    "[link](javascript:x)", "&lt;b&gt;", "\\input{/etc/passwd}", "%s{0}${data}", " leading and trailing ",
    "\U0001f600", "Ａ", "A", "a", "e\u0301", "\u00e9", "CON", "-rf", "--help", "x.png", "x.png.png",
    ",r1", "~", "\ufeffbom", "\u2028",
]  # fmt: skip


class Strange:
    def __init__(self, options, request):
        self.count = len(IDS)

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        return Sample(GREY, np.roll(GREY, index) * (index + 1) / 100)


def index(options, request):
    if request.task != "noisy":
        return []
    return [SampleInfo(name, 16, 16, f"{place:064x}", name, "synthetic") for place, name in enumerate(IDS)]


def index_no_text(options, request):
    return [SampleInfo("caf\udce9", 16, 16, "0" * 64, "a", "synthetic")] if request.task == "noisy" else []


@hookimpl
def restorebench_datasets():
    made = {"strange": index, "no-text": index_no_text}
    return [
        DatasetInfo(name=name, version="1", summary="Odd ids.", load=Strange, index=index)
        for name, index in made.items()
    ]
