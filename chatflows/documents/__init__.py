"""Document stores: knowledge that the flows of a workspace share."""
