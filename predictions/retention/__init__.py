"""How long runs and conversations are kept, and deleting what is older."""
