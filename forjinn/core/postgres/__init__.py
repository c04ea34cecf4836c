"""Django's database backend for PostgreSQL, with connections that follow scopes."""
