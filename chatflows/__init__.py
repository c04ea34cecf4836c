"""Saved flows and their versions."""
