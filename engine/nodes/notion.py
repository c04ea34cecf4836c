"""Loaders of Notion's pages and databases."""

from __future__ import annotations

import re

from engine.context import NodeContext
from engine.credentials import check_destination
from engine.errors import NodeInputError
from engine.nodes import values
from engine.nodes.loading import loaded, loader_spec
from engine.providers.base import Document
from engine.providers.notion import API, VERSION, NotionReader
from engine.providers.rest import RestDatabase
from engine.providers.retrying import Retrying
from engine.spec import Inputs, NodeResult, NodeRun, NodeSpec, NodeType, Param

CREDENTIAL = "notionApi"
# An id ends a page's address, behind its title and before any query: with or without hyphens.
ID = re.compile(r"([0-9a-f]{8})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{12})$", re.IGNORECASE)

PAGE = loader_spec(
    "notionPage",
    "Notion Page",
    2,
    "A page in Notion and the pages below it, each of them a document.",
    Param("pageId", "string", "Notion Page Id", help="The 32 letters and digits at the end of the page's address."),
    credentials=(CREDENTIAL,),
    needs_credential=True,
)
DATABASE = loader_spec(
    "notionDB",
    "Notion Database",
    2,
    "The rows of a database in Notion, each of them a document with its properties.",
    Param("databaseId", "string", "Notion Database Id", help="The 32 letters and digits before ?v= in its address."),
    credentials=(CREDENTIAL,),
    needs_credential=True,
)


def run_loader(spec: NodeSpec, param: str, url: str = API) -> NodeRun:
    """The run function of a loader whose `param` names what is read, for a server at `url`."""

    async def run(ctx: NodeContext, inputs: Inputs) -> NodeResult:
        """Nothing is read until the documents are asked for. Raises NodeInputError without a token or for no id."""
        found = _id(values.text(inputs, param), param)
        fields = await values.credential(ctx, inputs)
        token = fields.get("notionIntegrationToken", "")
        if not token:
            raise NodeInputError(f"{spec.label} needs a credential of kind {CREDENTIAL!r}: connect one.")
        check_destination(fields, url, own_url=url, egress=ctx.world.http.egress)
        world = ctx.world
        api = RestDatabase(
            url,
            http=world.http,
            retrying=Retrying(world.clock, world.random),
            headers={"Authorization": f"Bearer {token}", **VERSION},
            secrets=(token,),
        )

        async def read() -> list[Document]:
            reader = NotionReader(api)
            return await (reader.database(found) if spec is DATABASE else reader.page(found))

        return await loaded(ctx, inputs, read)

    return run


def _id(text: str, param: str) -> str:
    """The id in what people paste: itself, or the address that it ends."""
    match = ID.search(text.strip().partition("?")[0].rstrip("/"))
    if match is None:
        raise NodeInputError(
            f"{param} must be an id of Notion's, 32 letters and digits, or an address that ends in one."
        )
    return "-".join(match.groups()).lower()


NODES = (NodeType(PAGE, run_loader(PAGE, "pageId")), NodeType(DATABASE, run_loader(DATABASE, "databaseId")))
