"""The restorer that is trained for this package: one small network for all ten tasks, which is told nothing."""
