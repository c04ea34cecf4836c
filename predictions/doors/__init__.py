"""Public run APIs of other shapes: each a thin translation to the one execution, without an engine or table of its own."""
