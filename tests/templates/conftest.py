"""The platform on which the templates run, and the servers around it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.model_server import ScriptedModel
from tests.platform import ROOT, Platform
from tests.predictions.calls import Caller
from tests.templates.case import MODEL, PINECONE_KEY, VENDORS
from tests.templates.stage import Stage
from tests.templates.vendors import Vendors

CONNECT = """
import json
from workspaces.models import Workspace
from workspaces.services import create_credential
made = create_credential(
    workspace=Workspace.objects.get(pk={workspace!r}),
    name="Pinecone of the templates",
    kind="pineconeApi",
    fields={{"pineconeApiKey": "pc-1"}},
    allowed_hosts=["127.0.0.1"],
)
print(json.dumps(str(made.pk)))
"""


@pytest.fixture(scope="session")
def pinecone_key(platform: Platform) -> str:
    """A credential, by its id: whoever runs the platform makes them."""
    code = CONNECT.format(workspace=platform.workspace_id)
    command = [sys.executable, "manage.py", "shell", "--verbosity=0", "-c", code]
    told = subprocess.run(command, cwd=ROOT, env=platform.environment, capture_output=True, check=True)
    return str(json.loads(told.stdout))


@pytest.fixture
def stage(platform: Platform, pinecone_key: str) -> Iterator[Stage]:
    with ScriptedModel() as model, Vendors() as vendors, Caller(platform.url, platform.api_key) as holder:
        places = {VENDORS: vendors.url, MODEL: model.url, PINECONE_KEY: pinecone_key}
        yield Stage(holder, model, vendors, places)
