"""Comparison with arrays that the published code computed."""
