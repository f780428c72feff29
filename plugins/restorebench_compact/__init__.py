"""The restorer that is trained for this package: one small network for the ten tasks, told nothing."""
