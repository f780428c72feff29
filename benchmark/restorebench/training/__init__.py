"""Train the networks of plugins: what every recipe shares."""
