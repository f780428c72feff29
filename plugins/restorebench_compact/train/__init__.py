"""Training: `python -m restorebench_compact.train CONFIG`."""
