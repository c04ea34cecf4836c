"""One run of a chatflow: its record, its events, its answer."""
