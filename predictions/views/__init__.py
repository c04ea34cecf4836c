"""HTTP doors to runs: predictions for everybody, messages and executions for key holders, pages for people."""
