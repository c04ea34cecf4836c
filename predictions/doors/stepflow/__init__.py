"""Stepflow's HTTP API: flows are its workflows, executions its runs, and turns of nodes its steps."""
