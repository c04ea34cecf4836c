"""Published agent graphs of the first generation, and what each is put to."""

from __future__ import annotations

import json
from collections.abc import Mapping

from tests.templates.case import ANY_PINECONE, Case, Turn, call, route

SAID = "start token metadata end"
USED = "start token usedTools metadata end"
ASKED = "start token usedTools action metadata end"
FOUND = "start token usedTools sourceDocuments metadata end"
SEARCH = "seqLLMNode_0 seqToolNode_0 seqLLMNode_3 seqConditionAgent_0"
DRAFTS = [f"{kind} {number}" for number in (1, 2, 3) for kind in ("draft", "graded")]
AGAIN = "seqLLMNode_0 seqCondition_0 seqLLMNode_1 seqLoop_0"
FETCH = "return await (await fetch('{vendors}/sql', {method: 'POST', body: JSON.stringify({query: $input})})).json();"


def tool(name: str, func: str) -> Mapping[str, str]:
    """A tool of the template's own workspace, as its new owner writes it anew."""
    schema = json.dumps([{"property": "input", "type": "string", "description": "Of whom.", "required": True}])
    return {"name": name, "description": f"The {name}.", "schema": schema, "func": func}


def turn(worker: str) -> str:
    """What a supervisor made of single nodes decides."""
    return json.dumps({"next": worker, "instructions": "Go.", "reasoning": "so"})


CASES = (
    Case(
        "Agentic RAG",
        [
            Turn(
                "Sales?",
                [
                    *(call("search_apple", input="sales"), "thinking", '{"score": "no"}', "What are Apple's sales?"),
                    *(call("search_apple", input="apple sales"), "thinking", '{"score": "yes"}', "They rose."),
                ],
                "They rose.",
                f"seqStart_0 {SEARCH} seqLLMNode_1 seqLoop_0 {SEARCH} seqLLMNode_2 seqEnd_0",
                FOUND,
                calls=["GET /indexes/flowiseindex", "POST /query", "POST /query"],
                heard='Context: apple: sales rose.\\nSources: {"source":"apple","page":12}',
            )
        ],
        fill={"pinecone_0": ANY_PINECONE, "pinecone_1": ANY_PINECONE},
    ),
    Case(
        "Branch Out Merge In",
        [
            Turn(
                "Who?",
                ["I am A", "I am B", "I am C", "I am D"],
                "I am D",
                "seqStart_0 seqAgent_0 seqAgent_1 seqAgent_2 seqAgent_3 seqEnd_0",
                SAID,
                heard="I am C",
            )
        ],
    ),
    Case(
        "Essay Writing & Grading",
        [
            Turn(
                "Rain",
                [*DRAFTS, "draft 4"],
                "draft 4",
                f"seqStart_0 {AGAIN} {AGAIN} {AGAIN} seqLLMNode_0 seqCondition_0 seqEnd_0",
                SAID,
                heard="graded 3",
            )
        ],
    ),
    Case(
        "Human In Loop RAG",
        [
            Turn(
                "Sales?",
                [call("search_apple", input="sales"), "May I search?"],
                "May I search?",
                "seqStart_0 seqAgent_2",
                ASKED,
            ),
            Turn(
                "Yes",
                ["They rose.", "They rose by much."],
                "They rose by much.",
                "seqStart_0 seqAgent_2 seqAgent_1 seqEnd_0",
                FOUND,
                calls=["GET /indexes/flowiseindex", "POST /query"],
                heard="They rose.",
            ),
        ],
        fill={"pinecone_0": ANY_PINECONE},
    ),
    Case(
        "Multi Agents",
        [
            Turn(
                "A program",
                [turn("software_engineer"), "code", turn("code_reviewer"), "fine", turn("FINISH"), "Here is the code."],
                "Here is the code.",
                "seqStart_0 seqLLMNode_0 seqCondition_0 seqAgent_1 seqLoop_3"
                " seqLLMNode_0 seqCondition_0 seqAgent_0 seqLoop_2"
                " seqLLMNode_0 seqCondition_0 seqLLMNode_1 seqEnd_0",
                SAID,
                heard="fine",
            )
        ],
    ),
    Case(
        "Patient Concierge",
        [
            Turn(
                "I am Ann",
                [call("patient_identity_database", input="Ann"), "Welcome, Ann."],
                "Welcome, Ann.",
                "seqStart_0 seqCondition_0 seqAgent_1 seqEnd_1",
                USED,
                heard='"id": 7',
            ),
            Turn(
                "When?",
                [call("patient_information_database", input="Ann"), "On 03-01-2026."],
                "On 03-01-2026.",
                "seqStart_0 seqCondition_0 seqAgent_0 seqEnd_0",
                USED,
                heard="Knee of Ann",
            ),
        ],
        tools={
            "customTool_0": tool("patient_identity_database", "return {name: $input, id: 7};"),
            "customTool_1": tool("patient_information_database", "return `Knee of ${$input}, 03-01-2026`;"),
        },
    ),
    Case(
        "Portfolio Management Team",
        [
            Turn(
                "Invest?",
                [
                    *(route("financial_analyst"), "Good.", route("risk_manager"), "Risky."),
                    *(route("portfolio_manager"), "Half of it.", route("FINISH")),
                ],
                "Half of it.",
                "supervisor_0 worker_1 supervisor_0 worker_2 supervisor_0 worker_0 supervisor_0",
                SAID,
                heard="Half of it.",
            )
        ],
    ),
    Case(
        "Prompt Engineering Team",
        [
            Turn(
                "A prompt for sales",
                [
                    *(route("prompt_creator"), "You sell.", route("prompt_reviewer"), "You sell well."),
                    "Your prompt: You sell well.",
                ],
                "Your prompt: You sell well.",
                "supervisor_0 worker_0 supervisor_0 worker_1 supervisor_0",
                SAID,
                heard="You sell well.",
            )
        ],
    ),
    Case(
        "Support Routing System",
        [
            Turn(
                "My money!",
                ["Hold on.", json.dumps({"route": "BILLING"}), call("refund", input="order 7"), "Shall I refund it?"],
                "Shall I refund it?",
                "seqStart_0 seqAgent_0 seqConditionAgent_0 seqAgent_1",
                ASKED,
                heard='You are about to execute tool: [{"tool":"refund"',
            ),
            Turn(
                "Yes",
                ["It is refunded."],
                "It is refunded.",
                "seqStart_0 seqAgent_0 seqConditionAgent_0 seqAgent_1 seqEnd_1",
                USED,
                heard="Refunded order 7",
            ),
            Turn(
                "Thanks",
                ["You are welcome.", json.dumps({"route": "CONVERSATION"})],
                "You are welcome.",
                "seqStart_0 seqAgent_0 seqConditionAgent_0 seqEnd_0",
                SAID,
            ),
        ],
        tools={"customTool_0": tool("refund", "return `Refunded ${$input}`;")},
    ),
    Case(
        "Text to SQL",
        [
            Turn(
                "How many customers?",
                [
                    *(route("sql_expert"), "SELECT count(*) FROM customers", route("sql_reviewer"), "Fine."),
                    *(route("sql_executor"), call("execute_sql", input="SELECT count(*)"), "There are 42."),
                    route("FINISH"),
                ],
                "There are 42.",
                "supervisor_0 worker_0 supervisor_0 worker_2 supervisor_0 worker_1 supervisor_0",
                USED,
                calls=["POST /sql"],
                heard="There are 42.",
            )
        ],
        tools={"customTool_0": tool("execute_sql", FETCH)},
    ),
)
