"""Public run APIs of other shapes: thin translations to the one execution, without engines or tables of their own."""
