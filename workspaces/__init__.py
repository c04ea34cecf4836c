"""Tenants: who is in a workspace, and the secrets and variables it holds."""
