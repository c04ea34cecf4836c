"""Fixtures that every test may ask for by name."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import connection
from pytest_django import DjangoDbBlocker

pytest_plugins = ["tests.cast", "tests.platform"]

OTHERS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """pytest-django's own, and at the end no connection that would keep it from dropping the database.

    Asynchronous code reaches the ORM in threads of asgiref's, which keep their connections.
    """
    yield
    with django_db_blocker.unblock():
        with connection.cursor() as cursor:
            cursor.execute(OTHERS)
        connection.close()
