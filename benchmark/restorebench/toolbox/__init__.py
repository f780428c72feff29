"""Pure helpers that plugins may use: images, seeding, tiling, options."""
