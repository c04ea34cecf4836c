"""What the page on changing keys tells people to do, done by a shell as it stands there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from textwrap import dedent

import pytest
from django.conf import settings
from django.db import connection

from tests.factories import make_workspace
from tests.platform import ROOT
from workspaces.services import create_credential

PAGE = ROOT / "docs" / "how-to" / "rotate-keys.md"
BLOCK = re.compile(r"^   ```sh\n(.*?)^   ```", re.MULTILINE | re.DOTALL)


@pytest.mark.django_db(transaction=True)
def test_the_pages_steps_change_the_key() -> None:
    create_credential(workspace=make_workspace(), name="OpenAI", kind="openAIApi", fields={"openAIApiKey": "x"})
    steps = "\n".join(dedent(block) for block in BLOCK.findall(PAGE.read_text()))
    database = settings.DATABASE_URL.rpartition("/")[0] + f"/{connection.settings_dict['NAME']}"

    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", steps.replace("python manage.py", f"{sys.executable} manage.py")],
        env={**os.environ, "DATABASE_URL": database, "ENCRYPTION_KEYS": ",".join(settings.ENCRYPTION_KEYS)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.returncode == 0, done.stderr
    told = [line for line in done.stdout.splitlines() if "rows" in line]
    assert told == [
        "1 of 1 rows would be sealed with the first key.",
        "1 of 1 rows were sealed with the first key.",
        "0 of 1 rows would be sealed with the first key.",
    ]
