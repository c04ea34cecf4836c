"""`make run` without Docker: a real PostgreSQL, Valkey and small model from wheels, started and supervised."""
