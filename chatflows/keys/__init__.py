"""API keys over HTTP: who has which, and how one is made, changed, rotated and deleted."""
