"""Node families: one file each, listed in `engine.registry`."""
