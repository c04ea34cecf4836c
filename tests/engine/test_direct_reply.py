from engine.nodes.notes import NODES as NOTES
from engine.nodes.replies import run_reply
from tests.engine.node_world import NodeWorld


async def test_a_reply_is_the_answer_in_one_token(nodes: NodeWorld) -> None:
    result = await run_reply(nodes.context(streams=True), {"directReplyMessage": "Good bye"})

    assert result.output == {"content": "Good bye"}
    assert nodes.seen.tokens == ["Good bye"]


async def test_a_reply_in_the_middle_of_a_flow_is_not_said(nodes: NodeWorld) -> None:
    result = await run_reply(nodes.context(streams=True, is_last=False), {"directReplyMessage": "Wait"})

    assert result.output == {"content": "Wait"}
    assert nodes.seen.tokens == []


def test_notes_never_run() -> None:
    assert {node.spec.name: node.spec.role for node in NOTES} == {"stickyNote": "note", "stickyNoteAgentflow": "note"}
