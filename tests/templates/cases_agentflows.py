"""Published agent flows of the second generation, and what each is put to."""

from __future__ import annotations

import json

from tests.templates.case import VENDORS, Case, Turn, call
from tests.templates.cases_classic import EVENTS_FILE

TOLD = "agentFlowEvent token usageMetadata agentFlowEvent metadata end"
ANSWERED = "agentFlowEvent usageMetadata token usageMetadata agentFlowEvent metadata end"
ASKED = "agentFlowEvent usageMetadata token agentFlowEvent action agentFlowEvent metadata end"
SELECT = "SELECT count(*) FROM customers"
QUERY = "const answer = await fetch('{vendors}/sql', {method: 'POST', body: JSON.stringify({query: $sqlQuery})});"


def chosen(scenario: str) -> str:
    """A condition agent's model says which scenario it is."""
    return json.dumps({"output": scenario})


def supervised(worker: str, instructions: str) -> str:
    return json.dumps({"next": worker, "instructions": instructions, "reasoning": "so"})


def turns(count: int) -> list[str]:
    return [f"turn {number}" for number in range(count)]


CORRECT, GOOD, BAD = map(
    chosen,
    (
        "SQL query is correct and does not contains mistakes",
        "Result is correct and does not contains error",
        "Result query contains error",
    ),
)
ROUND = "agentAgentflow_0 agentAgentflow_1 conditionAgentflow_0"
WORK = "llmAgentflow_0 conditionAgentflow_0"

CASES = (
    Case(
        "Agents Handoff",
        [
            Turn(
                "Where is my money?",
                [chosen("User is asking for refund"), "You get it back."],
                "You get it back.",
                "startAgentflow_0 conditionAgentAgentflow_0 agentAgentflow_0",
                ANSWERED,
                heard="You are a refund agent",
            ),
            Turn(
                "A chair?",
                [chosen("User is looking for item"), "This one."],
                "This one.",
                "startAgentflow_0 conditionAgentAgentflow_0 agentAgentflow_1",
                ANSWERED,
                heard="You get it back.",
            ),
        ],
    ),
    Case(
        "Deep Research With Multi-turn Conversations",
        [
            Turn(
                "AI",
                ["The era of AI", call("web_scraper_tool", url="{vendors}/page"), *turns(12), "A white paper"],
                "A white paper",
                f"startAgentflow_0 llmAgentflow_0 {f'{ROUND} loopAgentflow_0 ' * 5}{ROUND} llmAgentflow_1",
                ANSWERED,
                calls=["GET /page"],
                heard="turn 11",
            )
        ],
    ),
    Case(
        "Human In The Loop",
        [
            Turn(
                "",
                ["Dear Ann, hello."],
                "Dear Ann, hello.\n\nAre you sure you want to proceed?",
                "startAgentflow_0 agentAgentflow_0 humanInputAgentflow_0",
                ASKED,
                form={"subject": "Hi", "body": "Hello", "from": "ann@example.org"},
                said="subject: Hi\nbody: Hello\nfrom: ann@example.org",
                heard="from: ann@example.org",
            ),
            Turn(
                "Shorter",
                ["Hello Ann."],
                "Hello Ann.\n\nAre you sure you want to proceed?",
                "startAgentflow_0 agentAgentflow_0 humanInputAgentflow_0 loopAgentflow_0 agentAgentflow_0"
                " humanInputAgentflow_0",
                ASKED,
                by={"humanInput": {"type": "reject", "startNodeId": "humanInputAgentflow_0", "feedback": "Shorter"}},
                heard="Shorter",
            ),
            Turn(
                "Proceed",
                [json.dumps({"subject": "Re: Hi", "body": "Hello Ann."})],
                "",
                "startAgentflow_0 agentAgentflow_0 humanInputAgentflow_0 loopAgentflow_0 agentAgentflow_0"
                " humanInputAgentflow_0 llmAgentflow_0 toolAgentflow_0",
                "agentFlowEvent usageMetadata agentFlowEvent metadata error end",
                by={"humanInput": {"type": "proceed", "startNodeId": "humanInputAgentflow_0"}},
                fails="Gmail cannot be used: its node needs a credential of kind 'gmailOAuth2'",
            ),
        ],
    ),
    Case(
        "Interacting With API",
        [
            Turn(
                "What is on?",
                [call("get_events", id="7"), "A fair is on", call("allEvents"), "events"],
                "",
                "startAgentflow_0 agentAgentflow_0 agentAgentflow_1 httpAgentflow_0",
                "agentFlowEvent usageMetadata agentFlowEvent metadata end",
                kept=" ",  # what agent flows say that end in a node without words
                calls=["GET /events/7", "GET /events", "GET /events"],
                heard="Fair",
            )
        ],
        fill={
            "agentAgentflow_0": {"agentTools.0.agentSelectedToolConfig.requestsGetUrl": "<p>{vendors}/events</p>"},
            "agentAgentflow_1": {
                "agentTools.0.agentSelectedToolConfig.yamlFile": EVENTS_FILE,
                "agentTools.0.agentSelectedToolConfig.selectedServer": VENDORS,
            },
            "httpAgentflow_0": {"url": "{vendors}/{{ agentAgentflow_1 }}"},
        },
    ),
    Case(
        "Simple RAG",
        [
            Turn(
                "What rose?",
                [call("AI-Paper", input="sales"), "Sales."],
                "Sales.",
                "startAgentflow_0 agentAgentflow_0",
                "agentFlowEvent calledTools usedTools token usageMetadata sourceDocuments agentFlowEvent metadata end",
                heard="Sales rose.",
            )
        ],
        stores={"agentAgentflow_0": {"agentKnowledgeDocumentStores.0.documentStore": "Sales rose."}},
    ),
    Case(
        "SQL Agent",
        [
            Turn(
                "How many customers?",
                [
                    *(json.dumps({"sql_query": "SELEC"}), CORRECT, BAD),
                    *(json.dumps({"sql_query": SELECT}), CORRECT, GOOD, "There are 42."),
                ],
                "There are 42.",
                "startAgentflow_0 customFunctionAgentflow_0 llmAgentflow_0 conditionAgentAgentflow_0"
                " customFunctionAgentflow_1 conditionAgentAgentflow_1 llmAgentflow_2 loopAgentflow_1"
                " conditionAgentAgentflow_0 customFunctionAgentflow_1 conditionAgentAgentflow_1 llmAgentflow_1",
                ANSWERED,
                calls=["GET /schema", "POST /sql", "POST /sql"],
                heard=f"42 by {SELECT}",
            )
        ],
        # As published, both functions open a database on their author's machine, with a driver that no sandbox has.
        fill={
            "customFunctionAgentflow_0": {
                "customFunctionJavascriptFunction": "return await (await fetch('{vendors}/schema')).json();"
            },
            "customFunctionAgentflow_1": {"customFunctionJavascriptFunction": f"{QUERY} return await answer.json();"},
        },
    ),
    Case(
        "Supervisor Worker",
        [
            Turn(
                "Write a function",
                [
                    *(supervised("SOFTWARE", "Write it"), "def f(): ..."),
                    *(supervised("REVIEWER", "Review it"), "Looks good."),
                    *(supervised("FINISH", ""), "# The solution"),
                ],
                "# The solution",
                f"startAgentflow_0 {WORK} agentAgentflow_1 loopAgentflow_0 {WORK} agentAgentflow_2 loopAgentflow_1"
                f" {WORK} agentAgentflow_3",
                ANSWERED,
                heard="def f(): ...",
            )
        ],
    ),
    Case(
        "Translator",
        [Turn("Hello", ["こんにちは"], "こんにちは", "startAgentflow_0 llmAgentflow_0", TOLD, heard="Hello")],
    ),
)
