"""Training of all stages: `python -m restorebench_daclip.train tower|controller|restorer CONFIG`."""
