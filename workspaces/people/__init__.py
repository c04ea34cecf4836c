"""Workspaces, and the people in them, over HTTP."""
