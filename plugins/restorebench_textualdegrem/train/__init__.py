"""Training of three stages: `python -m restorebench_textualdegrem.train mapper|clean-mapper|restorer CONFIG`."""
