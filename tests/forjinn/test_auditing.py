"""Every table that people manage tells who changed it."""

from __future__ import annotations

import pytest
from django.apps import apps
from django.db import connection
from django.db.models import ForeignKey, Model

from workspaces.models import Workspace

TRIGGERS = "SELECT count(*) FROM pg_trigger WHERE tgrelid = to_regclass(%s) AND tgname LIKE 'audited_%%'"

# Of tables that hang on a workspace, those that nobody manages, and why.
EXEMPT = {
    "audit_auditentry": "the trail itself",
    "documents_loaderfile": "comes with its loader, and goes with it",
    "documents_chunk": "made by a run from what a loader reads",
    "limits_spending": "what runs have used of a budget",
    "predictions_execution": "a run",
    "predictions_noderun": "a run's trace",
    "predictions_wait": "a run's",
    "predictions_idempotencykey": "a run's",
    "predictions_chatmessage": "what visitors say and are told",
    "triggers_firing": "a run's",
    "triggers_callback": "a run's",
    "hooks_hookdelivery": "sent by a run",
    "hooks_hookattempt": "sent by a run",
}


def of_tenants(model: type[Model], seen: tuple[type[Model], ...] = ()) -> bool:
    parents = [field.related_model for field in model._meta.concrete_fields if isinstance(field, ForeignKey)]
    further = [parent for parent in parents if isinstance(parent, type) and parent not in (*seen, model)]
    return Workspace in (model, *parents) or any(of_tenants(parent, (*seen, model)) for parent in further)


@pytest.mark.django_db
def test_a_table_of_tenants_is_audited_or_says_why_not() -> None:
    tables = {model._meta.db_table for model in apps.get_models() if of_tenants(model)}

    with connection.cursor() as cursor:
        audited = set()
        for table in tables:
            cursor.execute(TRIGGERS, [table])
            if cursor.fetchone() == (2,):
                audited.add(table)

    assert tables - audited == set(EXEMPT), "call `audited` (forjinn/core/auditing.py) in the table's migration"
