"""API chains: a model chooses a request out of an API's documentation, and puts the answer into words."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from yarl import URL

from engine.answering import Answered, Ask, silently
from engine.context import NodeContext
from engine.errors import NodeError, NodeInputError
from engine.files import read_files
from engine.http import HttpClient
from engine.moderation import MODERATION, moderated
from engine.nodes import values
from engine.nodes.agent_loop import model_specs
from engine.nodes.asking import aloud
from engine.nodes.openapi_tools import Call
from engine.openapi import read_api
from engine.parsers import Unparsable, find_json
from engine.prompts import Prompt
from engine.providers.base import ChatModel, Message, Tool, ToolSpec
from engine.spec import Inputs, NodeResult, NodeRun, NodeSpec, NodeType, Param
from engine.tools import FunctionTool

ADDRESS = re.compile(r"https?://[^\s<>\"'`()\[\]{}]+")
MAX_OUTPUT = 20_000  # characters of an answer that the model is shown
GET_URL = (
    "You are given the below API Documentation:\n{api_docs}\nUsing this documentation, generate the full API url to "
    "call for answering the user question. You should build the API url in order to get a response that is as short as "
    "possible, while still getting the necessary information to answer the question. Pay attention to deliberately "
    "exclude any unnecessary pieces of data in the API call.\n\nQuestion:{question}\nAPI url:"
)
POST_URL = (
    "You are given the below API Documentation:\n{api_docs}\nUsing this documentation, generate a json string with two "
    'keys: "url" and "data". The value of "url" should be a string, which is the API url to call for answering the '
    'user question. The value of "data" should be a dictionary of key-value pairs you want to POST to the url as a '
    "JSON body.\n\nQuestion:{question}\njson string:"
)
GET_ANSWER = "Given this {api_response} response for {api_url}. use the given response to answer this {question}"
POST_ANSWER = "Given this {api_response} response for {api_url_body}. use the given response to answer this {question}"

MODEL = Param("model", "BaseLanguageModel", "Language Model", help="Which model is asked.")
HEADERS = Param("headers", "json", "Headers", optional=True, help="Sent with every request.")


@dataclass(frozen=True, slots=True)
class Method:
    """A row of the table: what a chain of this method is called, and how its model is told to write a request."""

    verb: Literal["GET", "POST"]
    url_prompt: str
    answer_prompt: str

    @property
    def spec(self) -> NodeSpec:
        named = f"{self.verb}ApiChain"
        return NodeSpec(
            name=f"{self.verb.lower()}ApiChain",
            label=f"{self.verb} API Chain",
            version=1,
            category="Chains",
            base_classes=(named, "BaseChain", "Runnable"),
            help=f"Answers from a {self.verb} request that a model makes up out of an API's documentation.",
            params=(
                MODEL,
                Param(
                    "apiDocs",
                    "string",
                    "API Documentation",
                    help="What may be asked, and where: only the hosts of the addresses in it are called.",
                ),
                HEADERS,
                Param(
                    "urlPrompt",
                    "string",
                    "URL Prompt",
                    default=self.url_prompt,
                    optional=True,
                    help="How the model is told to write a request; with {api_docs} and {question}.",
                ),
                Param(
                    "ansPrompt",
                    "string",
                    "Answer Prompt",
                    default=self.answer_prompt,
                    optional=True,
                    help="How it is told to answer; with {api_response} and {question}.",
                ),
            ),
            role="ending",
        )


METHODS = (Method("GET", GET_URL, GET_ANSWER), Method("POST", POST_URL, POST_ANSWER))
OPEN_API = NodeSpec(
    name="openApiChain",
    label="OpenAPI Chain",
    version=2,
    category="Chains",
    base_classes=("OpenAPIChain", "BaseChain", "Runnable"),
    help="Has a model choose a call of an API that is described by OpenAPI, and answers what the API says.",
    params=(
        Param("model", "BaseChatModel", "Chat Model", help="Which model chooses; it must call tools."),
        Param("yamlLink", "string", "YAML Link", optional=True, help="Where the document is, instead of a file."),
        Param("yamlFile", "file", "YAML File", optional=True, help="The document, JSON or YAML."),
        HEADERS,
        MODERATION,
    ),
    role="ending",
)


@dataclass(frozen=True, slots=True)
class ApiChain:
    """Has a model write a request, sends it, and has the model answer; implements `Answerer`."""

    model: ChatModel
    method: Method
    docs: str
    places: frozenset[tuple[str, str, int]]
    headers: Mapping[str, str]
    url_prompt: str
    answer_prompt: str
    http: HttpClient

    async def answer(self, question: str, ask: Ask = silently) -> Answered:
        """See `Answerer.answer`. Raises NodeError for a request to somewhere else, or that the API refuses."""
        return (await self.call(question, ask))[0]

    async def call(self, question: str, ask: Ask) -> tuple[Answered, str]:
        """The answer, and which URL it is from."""
        told = await self.model.complete(_filled(self.url_prompt, question, api_docs=self.docs))
        url, body = _request(self.method, told.text, self.places)
        found = await _fetched(self.http, self.method, url, body, self.headers)
        known = {"api_docs": self.docs, "api_response": found, "api_url": url, "api_url_body": f"{url} {body}"}
        completion = await ask(self.model, _filled(self.answer_prompt, question, **known))
        return Answered(completion.text, usage=told.usage + completion.usage), url


@dataclass(frozen=True, slots=True)
class OpenApiChain:
    """Has a model choose a call of a described API, and answers what comes of it; implements `Answerer`."""

    model: ChatModel
    tools: Mapping[str, Tool]

    async def answer(self, question: str, ask: Ask = silently) -> Answered:
        """See `Answerer.answer`. The model's own words if it calls nothing; raises NodeError if the API refuses."""
        told = await self.model.complete([Message("user", question)], tools=model_specs(self.tools))
        if not told.tool_calls:
            return Answered(told.text, usage=told.usage)
        call = told.tool_calls[0]
        if call.name not in self.tools:
            raise NodeError(f"The model called {call.name!r}, which the API does not offer.")
        return Answered(await self.tools[call.name].call(call.arguments), usage=told.usage)


def run_method(method: Method) -> NodeRun:
    """The run function of one row of the table."""

    async def run(ctx: NodeContext, inputs: Inputs) -> NodeResult:
        """Answer the question; or hand on the chain, if this is not where the flow ends.

        Raises NodeInputError for documentation without an address, NodeError as `ApiChain.answer`.
        """
        docs = values.text(inputs, "apiDocs")
        chain = ApiChain(
            _model(inputs),
            method,
            docs,
            _places(docs),
            _headers(inputs),
            values.text(inputs, "urlPrompt", method.url_prompt),
            values.text(inputs, "ansPrompt", method.answer_prompt),
            ctx.world.http,
        )
        if not ctx.is_last:
            return NodeResult(value=chain)
        answered, url = await chain.call(ctx.request.question, aloud(ctx))
        return NodeResult(output={"content": answered.text, "url": url}, value=answered.text, usage=answered.usage)

    return run


async def run_open_api(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """Answer the question; or hand on the chain, if this is not where the flow ends.

    Raises NodeInputError for a document that cannot be read, NodeError as `OpenApiChain.answer`.
    """
    model = _model(inputs)
    api = await asyncio.to_thread(read_api, await _document(ctx, inputs))
    headers = _headers(inputs)
    tools: dict[str, Tool] = {
        operation.name: FunctionTool(
            ToolSpec(operation.name, operation.description, operation.schema),
            Call(ctx.world.http, api.url, operation, headers).call,
        )
        for operation in api.operations
    }
    chain = OpenApiChain(model, tools)
    if not ctx.is_last:
        return NodeResult(value=chain)
    answered = await chain.answer(ctx.request.question)
    if answered.text and ctx.streams:
        ctx.emit_token(answered.text)
    return answered.result(shows_sources=False)


def _model(inputs: Inputs) -> ChatModel:
    # mypy takes a protocol for no type that can be made, though all that is done here is isinstance.
    return values.connected(inputs, "model", ChatModel, "A chain needs a chat model")  # type: ignore[type-abstract]


def _headers(inputs: Inputs) -> dict[str, str]:
    return values.headers(values.mapping(inputs, "headers"))


def _filled(prompt: str, question: str, **known: str) -> list[Message]:
    return Prompt((("user", prompt),), {"question": question}).fill(question, **known)


def _places(docs: str) -> frozenset[tuple[str, str, int]]:
    """Scheme, host and port of the addresses that the documentation names: nothing else may be called."""
    places = frozenset(place for text in ADDRESS.findall(docs) if (place := _place(text)))
    if not places:
        raise NodeInputError("apiDocs names no address: write a whole URL such as https://api.example.org into it.")
    return places


def _place(text: str) -> tuple[str, str, int] | None:
    try:
        url = URL(text.rstrip(".,;:"))
    except ValueError:
        return None
    return (url.scheme, url.raw_host, url.port or 0) if url.raw_host else None


def _request(method: Method, said: str, places: frozenset[tuple[str, str, int]]) -> tuple[str, Mapping[str, Any]]:
    """The URL and the body that a model has written. Raises NodeError for one that the documentation does not cover."""
    body: Any = {}
    url = said
    if method.verb == "POST":
        try:
            written = find_json(said)
        except Unparsable as exc:
            raise NodeError("The model wrote no request: it is to answer with JSON of a url and data.") from exc
        if not isinstance(written, Mapping):
            raise NodeError("The model wrote no request: it is to answer with JSON of a url and data.")
        url, body = str(written.get("url")), written.get("data") or {}
    found = ADDRESS.search(url)
    if found is None:
        raise NodeError("The model wrote no URL to call: say in apiDocs how one is put together.")
    url = found[0].rstrip(".,;")
    if _place(url) not in places:
        raise NodeError(f"The model wanted to call {_host(url)}, which apiDocs does not name: it was not called.")
    return url, body if isinstance(body, Mapping) else {}


def _host(url: str) -> str:
    place = _place(url)
    return place[1] if place else url


async def _fetched(
    http: HttpClient, method: Method, url: str, body: Mapping[str, Any], headers: Mapping[str, str]
) -> str:
    # Redirects may lead to a host that is not documented.
    answer = await http.request(
        method.verb, url, headers=headers, json=body if method.verb == "POST" else None, follow=False
    )
    if 300 <= answer.status < 400:
        raise NodeError(f"{_host(url)} answered {answer.status}, a redirect: document the address it leads to.")
    text = answer.text[:MAX_OUTPUT]
    if answer.status >= 400:
        raise NodeError(f"{_host(url)} answered {answer.status}: {text[:500]}")
    return text


async def _document(ctx: NodeContext, inputs: Inputs) -> str:
    link = values.text(inputs, "yamlLink")
    if not link:
        if not inputs.get("yamlFile"):
            raise NodeInputError(
                "An OpenAPI Chain needs a document: add it under 'yamlFile', or name it in 'yamlLink'."
            )
        (document, *_) = read_files(inputs, "yamlFile")
        return document.text
    answer = await ctx.world.http.request("GET", link)
    if answer.status != 200:
        raise NodeError(f"{_host(link)} answered {answer.status} instead of the OpenAPI document.")
    return answer.text


NODES = (
    *(NodeType(method.spec, run_method(method)) for method in METHODS),
    NodeType(OPEN_API, moderated(run_open_api)),
)
