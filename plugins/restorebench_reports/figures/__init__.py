"""Kinds of figures, one module each. They return Vega-Lite specifications and need no library for drawing."""
