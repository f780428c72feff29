"""The distributions here are strangers to the host: `tests/packaging` installs them and runs their tests."""

collect_ignore = ["restorebench_gauss"]
