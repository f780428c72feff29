"""Training of both stages: `python -m restorebench_daclip.train controller|restorer CONFIG`."""
