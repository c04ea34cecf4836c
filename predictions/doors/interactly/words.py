"""What nodes say, in this API's kinds of node and message."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from chatflows.catalogue import node_types
from engine.nodes.agentflow_agent import AGENT
from engine.nodes.agentflow_condition_agent import CONDITION_AGENT
from engine.nodes.agentflow_function import FUNCTION
from engine.nodes.agentflow_http import REQUEST
from engine.nodes.agentflow_human_input import HUMAN_INPUT
from engine.nodes.agentflow_llm import LLM
from engine.nodes.agentflow_tool import TOOL
from engine.nodes.replies import REPLY
from engine.nodes.waits import ASK_USER
from predictions.doors.interactly.sessions import Step

MODELS = (LLM.name, AGENT.name, CONDITION_AGENT.name)
KINDS = {
    REPLY.name: "say_static",
    ASK_USER.name: "say_static",
    HUMAN_INPUT.name: "say_static",
    REQUEST.name: "http_request",
    TOOL.name: "tool_node",
    FUNCTION.name: "tool_node",
}
OTHER = "base_node"
ANSWERING = ("ending", "member")  # the roles of nodes that answer in flows of earlier kinds


def is_decision(node_type: str) -> bool:
    """Whether nodes of this type choose the way on."""
    found = node_types().get(node_type)
    return found is not None and found.spec.is_decision


def is_start(node_type: str) -> bool:
    """Whether it is where runs begin: in this API that is a mark on the first node, and no node of its own."""
    found = node_types().get(node_type)
    return found is not None and found.spec.role == "start"


def asks_model(step: Step) -> bool:
    found = node_types().get(step.type)
    return step.type in MODELS or "usageMetadata" in step.output or (found is not None and found.spec.role in ANSWERING)


def kind_of(step: Step, *, is_last: bool) -> str:
    """The type of node that it is here."""
    if asks_model(step):
        return "say_llm" if is_last else "worker_llm"
    return KINDS.get(step.type, OTHER)


def text_of(step: Step) -> str:
    """What the node put out, as text."""
    content = step.output.get("content", step.output.get("text"))
    return content if isinstance(content, str) else "" if content is None else orjson.dumps(content).decode()


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call of a model, and how long it took."""

    prompt_tokens: int
    completion_tokens: int
    latency_ms: float

    def shown(self, message_id: str) -> dict[str, Any]:
        return {
            "response_model": None,
            "named_llm_config_id": None,
            "named_llm_config_name": None,
            "provider": None,
            "ai_message_turn_id": message_id,
            "llm_response_id": None,
            "used_user_api_key": False,
            "finish_reason": None,
            "response_latency_milliseconds": self.latency_ms,
            **tokens(self.prompt_tokens, self.completion_tokens),
            "was_streamed": False,
            "was_estimated": False,
            "structured_output_retry_metadata": None,
        }


def usage_of(step: Step) -> Usage:
    used, took = step.output.get("usageMetadata") or {}, step.output.get("timeMetadata") or {}
    return Usage(used.get("input_tokens", 0), used.get("output_tokens", 0), took.get("delta", step.duration_ms))


def tokens(prompt: int, completion: int) -> dict[str, int]:
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def message(message_id: str, content: str, kind: str, **metadata: Any) -> dict[str, Any]:
    """A chat message as events carry it. `kind`: ai, human or system."""
    said: dict[str, Any] = {
        "content": content,
        "additional_kwargs": {},
        "response_metadata": metadata,
        "type": kind,
        "name": None,
        "id": message_id,
    }
    return {**said, "tool_calls": [], "invalid_tool_calls": [], "usage_metadata": None} if kind == "ai" else said


def request_fields(step: Step) -> dict[str, Any]:
    """What an HTTP node asked and got."""
    given = step.data.get("input")
    asked: Mapping[str, Any] = given if isinstance(given, Mapping) else {}
    answer = step.output.get("http") or {}
    return {
        "curl_command": f"curl -X {asked.get('method', 'GET')} '{url}'" if (url := asked.get("url")) else None,
        "status_code": answer.get("status"),
        "response_body": answer.get("data"),
        "error": step.data.get("error"),
    }


def reason_of(step: Step) -> str | None:
    """Why a decision took its way: the condition that held."""
    conditions = step.output.get("conditions")
    for condition in conditions if isinstance(conditions, list) else ():
        if isinstance(condition, Mapping) and condition.get("isFulfilled"):
            said = condition.get("output") or condition.get("operation") or condition.get("type")
            return str(said) if said else None
    return None
