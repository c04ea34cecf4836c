"""The command that tells how the first account is made."""

from __future__ import annotations

import io

import pytest
from django.core.management import call_command

from tests.factories import make_user
from workspaces.accounts import setup_secret

pytestmark = pytest.mark.django_db


def said() -> str:
    out = io.StringIO()
    call_command("setup_secret", stdout=out)
    return out.getvalue()


def test_the_secret_is_told_while_there_is_nobody_and_not_afterwards() -> None:
    before = said()
    make_user()

    assert setup_secret() in before
    assert setup_secret() not in said()
