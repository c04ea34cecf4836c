"""The calls that the page on documents tells people to make, made one after the other."""

from __future__ import annotations

import itertools
import json
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from string import Template
from typing import Any

import httpx

from tests.model_server import ScriptedModel
from tests.platform import ROOT, Platform
from tests.predictions.calls import Caller
from tests.predictions.conftest import Inside

PAGE = ROOT / "docs" / "how-to" / "answer-from-documents.md"
SECTION = re.compile(r"^## Share documents among flows$(.*?)^## ", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
CONNECT = """
from workspaces.models import Workspace
from workspaces.services import create_credential
made = create_credential(
    workspace=Workspace.objects.get(pk={workspace!r}),
    name="Embeddings",
    kind="openAIApi",
    fields={{"openAIApiKey": "sk-1"}},
    allowed_hosts=["127.0.0.1"],
)
print(json.dumps(str(made.pk)))
"""


def commands() -> Iterator[list[str]]:
    """Every `curl` of the section, as a shell takes it apart."""
    [section] = SECTION.findall(PAGE.read_text())
    for block in BLOCK.findall(section):
        for command in block.split("curl ")[1:]:
            yield shlex.split(command.replace("\\\n", " "))


class Shell:
    """Makes the calls, with the page's variables filled in."""

    def __init__(self, model_url: str, folder: Path, variables: Mapping[str, str]) -> None:
        self.variables = dict(variables)
        self._model_url = model_url
        self._folder = folder

    def curl(self, words: list[str]) -> Any:
        said = [Template(word).substitute(self.variables) for word in words]
        options: dict[str, list[str]] = {"-X": [], "-H": [], "-d": [], "-F": []}
        [url] = [word for before, word in zip(["", *said], said, strict=False) if {before, word}.isdisjoint(options)]
        for option, value in itertools.pairwise(said):
            options.get(option, []).append(value)
        response = httpx.request(
            options["-X"][0],
            url,
            headers=[self._header(text) for text in options["-H"]],
            timeout=60,
            **self._body(options),
        )
        assert response.status_code == 200, response.text
        return response.json()

    def _header(self, text: str) -> tuple[str, str]:
        name, _, value = text.partition(": ")
        return name, value

    def _body(self, options: Mapping[str, list[str]]) -> dict[str, Any]:
        if options["-d"]:
            body = json.loads(options["-d"][0])
            if config := body.get("embeddingConfig"):
                config["basepath"] = self._model_url  # the vendor of this test
            return {"json": body}
        fields = dict(part.split("=", 1) for part in options["-F"])
        name = fields.pop("files").removeprefix("@")
        return {"data": fields, "files": {"files": (name, (self._folder / name).read_bytes())}}


def test_the_page_makes_a_store_that_answers(
    platform: Platform, holder: Caller, model: ScriptedModel, inside: Inside, tmp_path: Path
) -> None:
    (tmp_path / "handbook.md").write_text("# Holidays\n\nEveryone has 30 days off a year.")
    credential = inside(CONNECT.format(workspace=platform.workspace_id))
    shell = Shell(
        model.url,
        tmp_path,
        {"URL": platform.url, "KEY": platform.api_key, "CREDENTIAL": credential, "STORE": ""},
    )
    make, *others = commands()

    shell.variables["STORE"] = shell.curl(make)["id"]
    answers = [shell.curl(command) for command in others]

    assert [sorted(answer)[0] for answer in answers] == ["createdDate", "addedDocs", "docs"]
    assert [document["pageContent"] for document in answers[-1]["docs"]] == [
        "# Holidays\n\nEveryone has 30 days off a year."
    ]
    assert model.embedded[0].headers["authorization"] == "Bearer sk-1"
