"""Detectors that say what they see: for tests of the detector track."""

from restorebench import Detection, DetectorInfo, hookimpl
from restorebench.toolbox.options import PluginOptions, Temperature

COLOURS = ("noisy", "hazy", "rainy")


class Ruler:
    """Takes what is ten pixels high for noisy, what is less for hazy, as probable as a hundredth of its height."""

    def __init__(self, options, runtime):
        pass

    def detect(self, images):
        name = "noisy" if images.shape[-2] >= 10 else "hazy"
        return [Detection(frozenset({name}), {name: images.shape[-2] / 100}) for _ in images]


class Options(PluginOptions):
    temperature: Temperature = 1.0


class Overconfident:
    """Takes red, green and blue for probabilities, and triples their logits."""

    def __init__(self, options, runtime):
        self.options = options

    def detect(self, images):
        logits = 3 * images.double().mean((2, 3)).log()
        rows = (logits / self.options.temperature).softmax(-1).tolist()
        return [Detection(frozenset(), dict(zip(COLOURS, row, strict=True))) for row in rows]


class Silent:
    """Gives no probabilities."""

    def __init__(self, options, runtime):
        pass

    def detect(self, images):
        return [Detection(frozenset({"noisy"})) for _ in images]


class Voices(Silent):
    """Gives each task a probability of its own."""

    def detect(self, images):
        return [Detection(frozenset(), dict.fromkeys(COLOURS, 0.9)) for _ in images]


@hookimpl
def restorebench_detectors():
    return [
        DetectorInfo(name="ruler", version="1", summary="Measures.", load=Ruler),
        DetectorInfo(name="overconfident", version="1", summary="Sure.", load=Overconfident, options=Options),
        DetectorInfo(name="silent", version="1", summary="Says noisy.", load=Silent),
        DetectorInfo(name="voices", version="1", summary="Says all.", load=Voices),
    ]
