"""The wire's spelling of messages and executions."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from forjinn.core.jsontext import to_json
from forjinn.core.times import iso_millis
from predictions.flowise import STATES
from predictions.models import ChatMessage, Execution

WIRE_STATES = {"QUEUED": "INPROGRESS", "RUNNING": "INPROGRESS", "WAITING": "STOPPED", **STATES}


class ChatMessageSerializer(serializers.Serializer[ChatMessage]):
    """One turn of a conversation."""

    id = serializers.UUIDField()
    role = serializers.ChoiceField(choices=["userMessage", "apiMessage"])
    chatflowid = serializers.UUIDField()
    executionId = serializers.UUIDField(allow_null=True)
    content = serializers.CharField()
    chatType = serializers.CharField()
    chatId = serializers.CharField()
    sessionId = serializers.CharField()
    memoryType = serializers.CharField(required=False)
    leadEmail = serializers.CharField(required=False)
    error = serializers.CharField(required=False, help_text="Why there is no answer, or why it stopped.")
    usedTools = serializers.ListField(required=False)
    action = serializers.DictField(required=False, help_text="What the run waits for, until it is answered.")
    sourceDocuments = serializers.ListField(required=False)
    artifacts = serializers.ListField(required=False)
    agentReasoning = serializers.ListField(required=False, help_text="The steps of a multi-agent graph.")
    fileUploads = serializers.ListField(required=False)
    createdDate = serializers.DateTimeField()

    def to_representation(self, message: ChatMessage) -> dict[str, Any]:
        optional = {"memoryType": message.memory_type, "leadEmail": message.lead_email, "error": message.error}
        return {
            "id": str(message.id),
            "role": message.role,
            "chatflowid": str(message.chatflow_id),
            "executionId": str(message.execution_id) if message.execution_id else None,
            "content": message.content,
            "chatType": message.chat_type,
            "chatId": message.chat_id,
            "sessionId": message.session_id,
            **{key: value for key, value in optional.items() if value},
            **message.extra,
            "createdDate": iso_millis(message.created_at),
        }


class ExecutionSerializer(serializers.Serializer[Execution]):
    """One run: how it stands, what it answered, and its trace."""

    id = serializers.UUIDField()
    state = serializers.ChoiceField(choices=["INPROGRESS", "STOPPED", "FINISHED", "ERROR", "TERMINATED"])
    agentflowId = serializers.UUIDField()
    chatflowId = serializers.UUIDField()
    chatId = serializers.CharField()
    sessionId = serializers.CharField()
    workspaceId = serializers.UUIDField()
    question = serializers.CharField()
    output = serializers.DictField(help_text="The answer's body, once there is one.", allow_null=True)
    error = serializers.CharField(required=False)
    executionData = serializers.CharField(help_text="JSON text: the executed nodes, in order.")
    usageMetadata = serializers.DictField()
    attempt = serializers.IntegerField()
    isStored = serializers.BooleanField(help_text="False: what was asked and said is deleted once the run has ended.")
    createdDate = serializers.DateTimeField()
    updatedDate = serializers.DateTimeField()
    startedDate = serializers.DateTimeField(allow_null=True)
    stoppedDate = serializers.DateTimeField(allow_null=True)

    def to_representation(self, run: Execution) -> dict[str, Any]:
        trace = (run.output or {}).get("agentFlowExecutedData") or _trace(run)
        return {
            "id": str(run.id),
            "state": WIRE_STATES[run.state],
            "agentflowId": str(run.chatflow_id),
            "chatflowId": str(run.chatflow_id),
            "chatId": run.chat_id,
            "sessionId": run.session_id,
            "workspaceId": str(run.workspace_id),
            "question": run.question,
            "output": run.output,
            **({"error": run.error} if run.error else {}),
            "executionData": to_json(trace).decode(),
            "usageMetadata": {
                "input_tokens": run.input_tokens,
                "output_tokens": run.output_tokens,
                "total_tokens": run.input_tokens + run.output_tokens,
            },
            "attempt": run.attempt,
            "isStored": run.contents == Execution.Contents.KEPT,
            "createdDate": iso_millis(run.created_at),
            "updatedDate": iso_millis(run.finished_at or run.started_at or run.created_at),
            "startedDate": iso_millis(run.started_at),
            "stoppedDate": iso_millis(run.finished_at),
        }


def _trace(run: Execution) -> list[Any]:
    """The entries of the run's nodes. A node that waited and went on stands in them once, as it ended."""
    entries = [node_run.entry for node_run in run.node_runs.all()]
    return [entry for entry in entries[:-1] if entry.get("status") != "STOPPED"] + entries[-1:]
