"""Comparison with the published code, on arrays that it computed."""
