"""Agent graphs of the first generation, as other people drew them: answers, and who took a turn, in order.

Models are scripted. Accounts that nobody has here are stood in for: vector databases, and tools of a workspace.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from random import Random
from typing import Any

import orjson
import pytest

from chatflows.trial import with_models_at
from engine.context import NodeContext, PreviousRun, RunRequest, World
from engine.egress import Egress
from engine.events import AgentReasoned, Event, NodeFinished, RunFinished, RunPaused
from engine.flow import parse_flow
from engine.http import HttpClient
from engine.providers.base import Document, Message
from engine.registry import Registry, load_registry
from engine.runner import Resume, run_flow
from engine.sandbox.pool import JavaScriptSandbox
from engine.spec import Inputs, NodeResult, NodeSpec, NodeType
from engine.tools import text_tool
from tests.engine.node_world import MemoryCredentials, MemoryHistory, StillClock
from tests.model_server import ScriptedModel
from tests.model_wire import Reply

FLOWS = Path(__file__).resolve().parents[1] / "flows"
PATIENT = {"name": "Ann", "id": 7}
# What the tools of the templates' own workspaces are called, by the ids under which they were kept there.
TOOLS: Mapping[str, tuple[str, str]] = {
    "29e51b55-6d5a-4f4f-9376-a864a62004cb": ("patient_identity_database", orjson.dumps(PATIENT).decode()),
    "f0ea4e6b-d95d-4554-8270-d8e31b393243": ("patient_information_database", "Knee, 03-01-2026"),
    "b227ea41-8218-4236-bcfb-e83db284f589": ("refund", "Refunded."),
    "4d723d69-e854-4351-90c0-6385ce908213": ("execute_sql", "42"),
}


class Manual:
    """A retriever that always finds the same page."""

    async def retrieve(self, query: str) -> list[Document]:
        return [Document(f"About {query}: sales rose.", {"page": 12})]


async def find(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """Stands in for a vector database."""
    return NodeResult(value=Manual())


async def workspace_tool(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """Stands in for a tool that is kept in a workspace."""
    name, result = TOOLS[inputs["selectedTool"]]

    async def call(text: str) -> str:
        return result

    return NodeResult(value=text_tool(name, f"The {name}.", call))


def registry() -> Registry:
    stand_ins = {
        "pinecone": find,
        "faiss": find,
        "openAIEmbeddings": find,
        "customTool": workspace_tool,
    }
    real = [node_type for node_type in load_registry() if node_type.spec.name not in stand_ins]
    return Registry([*real, *(NodeType(NodeSpec(n, n, 1, "", role="component"), run) for n, run in stand_ins.items())])


class Stage:
    """A template, its scripted model, and what its session was left with."""

    def __init__(self, http: HttpClient, model: ScriptedModel, sandbox: JavaScriptSandbox) -> None:
        self.model = model
        self.history = MemoryHistory()
        self.previous: PreviousRun | None = None
        self._http = http
        self._sandbox = sandbox

    async def run(self, name: str, question: str, *replies: Reply | str, resume: Resume | None = None) -> list[Event]:
        self.model.script(*replies)
        flow = parse_flow(with_models_at(self.model.url, (FLOWS / f"{name}.json").read_text()))
        world = World(
            http=self._http,
            sandbox=self._sandbox,
            history=self.history,
            credentials=MemoryCredentials(),
            clock=StillClock(),
            random=Random(7),
            previous=self._previous,
        )
        request = RunRequest(question, chat_id="c1", session_id="s1")
        return [event async for event in run_flow(flow, request, world, registry=registry(), resume=resume)]

    async def _previous(self) -> PreviousRun | None:
        return self.previous


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    with ScriptedModel() as model:
        async with HttpClient(Egress(["127.0.0.1"])) as http, JavaScriptSandbox() as sandbox:
            yield Stage(http, model, sandbox)


def call(name: str, **arguments: Any) -> Reply:
    return Reply(tool_calls=[(name, arguments)])


def route(worker: str, instructions: str = "") -> Reply:
    return call("route", reasoning="so", next=worker, instructions=instructions)


def answer(events: list[Event]) -> str:
    assert isinstance(events[-1], RunFinished), events[-1]
    return events[-1].text


def visited(events: list[Event]) -> list[str]:
    return [event.node_id for event in events if isinstance(event, NodeFinished)]


def reasoned(events: list[Event]) -> Iterator[Mapping[str, Any]]:
    return iter([event for event in events if isinstance(event, AgentReasoned)][-1].steps)


def spoke(events: list[Event]) -> list[str]:
    return [step["agentName"] for step in reasoned(events)]


async def test_branches_run_side_by_side_and_merge(stage: Stage) -> None:
    events = await stage.run("Branch Out Merge In", "Who?", "I am A", "I am B", "I am C", "I am D")

    assert answer(events) == "I am D"
    assert visited(events) == ["seqStart_0", "seqAgent_0", "seqAgent_1", "seqAgent_2", "seqAgent_3", "seqEnd_0"]
    assert spoke(events) == ["AgentA", "AgentB", "AgentC", "AgentD"]


async def test_an_essay_is_graded_until_the_conversation_is_long_enough(stage: Stage) -> None:
    drafts = ["draft 1", "graded 1", "draft 2", "graded 2", "draft 3", "graded 3", "draft 4"]

    events = await stage.run("Essay Writing & Grading", "Rain", *drafts)

    assert answer(events) == "draft 4"
    again = ["seqLLMNode_0", "seqCondition_0", "seqLLMNode_1", "seqLoop_0"]
    assert visited(events) == ["seqStart_0", *again * 3, "seqLLMNode_0", "seqCondition_0", "seqEnd_0"]
    assert spoke(events)[:3] == ["Writer", "If loop > 3 times", "Teacher"]


async def test_documents_that_do_not_fit_make_the_question_be_put_anew(stage: Stage) -> None:
    events = await stage.run(
        "Agentic RAG",
        "Sales?",
        call("search_apple", input="sales"),
        "thinking",
        '{"score": "no"}',
        "What are Apple's sales?",
        call("search_apple", input="apple sales"),
        "thinking",
        '{"score": "yes"}',
        "They rose.",
    )

    assert answer(events) == "They rose."
    search = ["seqLLMNode_0", "seqToolNode_0", "seqLLMNode_3", "seqConditionAgent_0"]
    assert visited(events) == ["seqStart_0", *search, "seqLLMNode_1", "seqLoop_0", *search, "seqLLMNode_2", "seqEnd_0"]
    assert spoke(events)[3:5] == ["Check if docs relevant", "Rewrite"]
    generate = str(stage.model.requests[-1].messages[0]["content"])
    assert 'Context: About apple sales: sales rose.\nSources: {"page":12}' in generate
    found = [step["sourceDocuments"] for step in reasoned(events) if step.get("sourceDocuments")]
    assert [documents[0]["pageContent"] for documents in found] == [
        "About sales: sales rose.",
        "About apple sales: sales rose.",
    ]


async def test_an_analyst_searches_once_somebody_has_allowed_it(stage: Stage) -> None:
    asked = await stage.run("Human In Loop RAG", "Sales?", call("search_apple", input="sales"), "May I search?")
    paused = asked[-1]
    assert isinstance(paused, RunPaused)
    assert paused.text == "May I search?"

    events = await stage.run(
        "Human In Loop RAG",
        "Yes",
        "They rose.",
        "They rose by much.",
        resume=Resume(orjson.loads(orjson.dumps(paused.snapshot)), {"type": "proceed"}),
    )

    assert answer(events) == "They rose by much."
    assert visited(events) == ["seqAgent_2", "seqAgent_1", "seqEnd_0"]
    assert "About sales" in next(reasoned(events))["usedTools"][0]["toolOutput"]


async def test_a_supervisor_of_single_nodes_sends_engineer_and_reviewer(stage: Stage) -> None:
    def turn(next_worker: str) -> str:
        return orjson.dumps({"next": next_worker, "instructions": "Go.", "reasoning": "so"}).decode()

    events = await stage.run(
        "Multi Agents",
        "A program",
        turn("software_engineer"),
        "code",
        turn("code_reviewer"),
        "fine",
        turn("FINISH"),
        "Here is the code.",
    )

    assert answer(events) == "Here is the code."
    assert visited(events) == [
        *("seqStart_0", "seqLLMNode_0", "seqCondition_0", "seqAgent_1", "seqLoop_3"),
        *("seqLLMNode_0", "seqCondition_0", "seqAgent_0", "seqLoop_2"),
        *("seqLLMNode_0", "seqCondition_0", "seqLLMNode_1", "seqEnd_0"),
    ]
    assert "Engineer at FlowiseAI Inc" in str(stage.model.requests[1].messages[0]["content"])


async def test_a_patient_is_verified_first_and_served_in_the_next_message(stage: Stage) -> None:
    first = await stage.run(
        "Patient Concierge", "I am Ann", call("patient_identity_database", input="Ann"), "Welcome, Ann."
    )
    ended = first[-1]
    assert isinstance(ended, RunFinished)
    stage.previous = PreviousRun(state=ended.state or {})
    stage.history.sessions["s1"] = [Message("user", "I am Ann"), Message("assistant", "Welcome, Ann.")]

    second = await stage.run(
        "Patient Concierge", "When?", call("patient_information_database", input="Ann"), "On 03-01-2026."
    )

    assert visited(first) == ["seqStart_0", "seqCondition_0", "seqAgent_1", "seqEnd_1"]
    assert ended.state == {"userInfo": PATIENT}
    assert visited(second) == ["seqStart_0", "seqCondition_0", "seqAgent_0", "seqEnd_0"]
    assert answer(second) == "On 03-01-2026."


async def test_a_portfolio_team_works_in_the_order_its_supervisor_says(stage: Stage) -> None:
    events = await stage.run(
        "Portfolio Management Team",
        "Invest?",
        route("financial_analyst", "Analyse."),
        "Good.",
        route("risk_manager"),
        "Risky.",
        route("portfolio_manager"),
        "Half of it.",
        route("FINISH"),
    )

    assert answer(events) == "Half of it."
    assert visited(events) == [
        *("supervisor_0", "worker_1", "supervisor_0", "worker_2", "supervisor_0", "worker_0", "supervisor_0")
    ]
    assert spoke(events)[:4] == ["Supervisor", "Financial Analyst", "Supervisor", "Risk Manager"]


async def test_a_prompt_is_created_and_reviewed(stage: Stage) -> None:
    events = await stage.run(
        "Prompt Engineering Team",
        "A prompt for sales",
        route("prompt_creator", "Write it."),
        "You sell.",
        route("prompt_reviewer", "Review it."),
        "You sell well.",
        "Your prompt: You sell well.",
    )

    assert answer(events) == "Your prompt: You sell well."
    assert visited(events) == ["supervisor_0", "worker_0", "supervisor_0", "worker_1", "supervisor_0"]


@pytest.mark.parametrize(
    ("chosen", "replies", "ways"),
    [
        ("TECHNICAL", [call("search_technical", input="boot"), "Press F8."], ["seqAgent_2", "seqEnd_2"]),
        ("CONVERSATION", [], ["seqEnd_0"]),
        ("BILLING", ["Which order?"], ["seqAgent_1", "seqEnd_1"]),
    ],
)
async def test_a_customer_is_routed_to_the_team_that_helps(
    stage: Stage, chosen: str, replies: list[Reply | str], ways: list[str]
) -> None:
    decision = orjson.dumps({"route": chosen}).decode()

    events = await stage.run("Support Routing System", "Help", "Hold on.", decision, *replies)

    assert visited(events) == ["seqStart_0", "seqAgent_0", "seqConditionAgent_0", *ways]
    assert answer(events) == (replies[-1] if replies else "Hold on.")


async def test_a_query_is_written_reviewed_and_run(stage: Stage) -> None:
    events = await stage.run(
        "Text to SQL",
        "How many customers?",
        route("sql_expert", "Write it."),
        "SELECT count(*) FROM customers",
        route("sql_reviewer"),
        "Fine.",
        route("sql_executor"),
        call("execute_sql", input="SELECT count(*) FROM customers"),
        "There are 42.",
        route("FINISH"),
    )

    assert answer(events) == "There are 42."
    assert visited(events) == [
        *("supervisor_0", "worker_0", "supervisor_0", "worker_2", "supervisor_0", "worker_1", "supervisor_0")
    ]
    assert "CREATE TABLE customers" in str(stage.model.requests[1].messages[0]["content"])
    assert list(reasoned(events))[5]["usedTools"][0]["toolOutput"] == "42"
