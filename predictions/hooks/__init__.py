"""Outgoing hooks: receivers hear what becomes of runs. Rows are written with the change, then sent until taken."""
