"""API keys: each opens one workspace."""
