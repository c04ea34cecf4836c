"""Bring the database up to date and put the demo in place; says what came of it as JSON.

`python -m forjinn.embedded.prepare`, in a process of its own: the supervisor's settings were read before the database
ran.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Iterator
from typing import Any

import django

MIGRATION_LOCK = 0x464A_0001  # in PostgreSQL's 64-bit space of advisory locks
LOOK_S = 0.1


def main() -> int:
    django.setup()
    from django.core.management.base import SystemCheckError
    from django.db import Error

    from forjinn.core.crypto import SealBroken
    from workspaces.seals import check_keys

    try:
        _check()
        _migrate()
        check_keys()
        told: dict[str, Any] = _demo()
    except SystemCheckError as exc:
        told = {"problem": " ".join(str(exc).split())}
    except SealBroken as exc:
        told = {"problem": str(exc)}
    except Error as exc:
        reason = " ".join(str(exc).split())
        told = {"problem": f"The database could not be brought up to date: {reason}. DATABASE_URL's user must own it"}
    json.dump(told, sys.stdout)
    return 1 if "problem" in told else 0


def _check() -> None:
    from django.core.checks import ERROR, run_checks
    from django.core.management.base import SystemCheckError

    errors = [problem for problem in run_checks() if problem.is_serious(ERROR) and not problem.is_silenced()]
    if errors:
        raise SystemCheckError(" ".join(f"{error.msg} {error.hint or ''}" for error in errors))


def _migrate() -> None:
    from django.core.management import call_command
    from django.db import connection
    from django.db.migrations.executor import MigrationExecutor

    with _migration_lock():
        executor = MigrationExecutor(connection)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            call_command("migrate", interactive=False, verbosity=0)


@contextlib.contextmanager
def _migration_lock() -> Iterator[None]:
    """Starts on several machines take turns.

    Asked for again and again instead of waited for: a session that waits within a statement would hold up a
    migration that creates an index concurrently, for ever.
    """
    from django.db import connection

    with connection.cursor() as cursor:
        while True:
            cursor.execute("SELECT pg_try_advisory_lock(%s)", [MIGRATION_LOCK])
            if cursor.fetchone()[0]:
                break
            time.sleep(LOOK_S)
        try:
            yield
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [MIGRATION_LOCK])


def _demo() -> dict[str, Any]:
    """Put in place what is missing. The key is kept in the var folder, as the database has only its hash."""
    from django.conf import settings

    from chatflows.demo import ensure_demo
    from forjinn.embedded.state import var_folder, write_private

    kept = var_folder() / "demo.json"
    try:
        api_key = str(json.loads(kept.read_text())["apiKey"])
    except (OSError, ValueError, KeyError):
        api_key = None
    demo = ensure_demo(model_url=settings.MODEL_URL, api_key=api_key)
    write_private(kept, json.dumps({"apiKey": demo.api_key}))
    return {
        "apiKey": demo.api_key,
        "workspaceId": str(demo.workspace_id),
        "demoFlowId": str(demo.demo_flow_id),
        "agentflowId": str(demo.agentflow_id),
        "ownerEmail": demo.owner_email,
        "ownerPassword": demo.owner_password,
    }


if __name__ == "__main__":
    sys.exit(main())
