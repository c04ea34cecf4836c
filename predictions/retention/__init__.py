"""How long runs and conversations are kept, if at all, and deleting the others."""
