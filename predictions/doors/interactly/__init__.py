"""The turn API: one call is one turn of a workflow, and its answer holds every event of that turn."""
