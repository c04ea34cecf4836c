"""The flows that tests of Chatterfly's API deploy."""

from __future__ import annotations

from tests.predictions import drawing

INPUT = {"name": "Alice", "issue": "Billing query"}
START, LLM = "startAgentflow_0", "llmAgentflow_0"


def greeting(model_url: str) -> str:
    """A flow that greets by the state that it was given, and keeps what was said there."""
    told = [{"role": "user", "content": "Greet {{state.name}} about {{ state.issue }}"}]
    update = [{"key": "greeting", "value": "{{ output }}"}]
    asked = drawing.llm_step(model_url, llmMessages=told, llmUpdateState=update, llmEnableMemory=False)
    return drawing.flow([drawing.start(), asked], drawing.path(START, LLM))


def approval() -> str:
    """A flow that asks a person and says what they said."""
    return drawing.approval_flow("Sent", "Kept: {{ humanInputAgentflow_0 }}")


def question() -> str:
    """A flow that asks the user something and says what they answered."""
    asked = {"askQuestion": "Which invoice?"}
    return drawing.waiting_flow("askUserAgentflow", asked, "It is {{ askUserAgentflow_0 }}")
