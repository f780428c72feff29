"""Training: `python -m restorebench_airnet.train CONFIG`."""
