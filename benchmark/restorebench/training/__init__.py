"""Training of plugins' networks: the parts that all recipes share."""
