from typing import Any

import pytest

from engine.errors import NodeInputError, ProviderError
from engine.nodes.agentflow_llm import run_llm
from engine.providers.base import Completion, Message, Usage
from engine.providers.fake import FakeChatModel
from engine.recall import BYTES_A_TOKEN, transcript
from engine.spec import NodeResult
from tests.engine.node_world import NodeWorld

PAST = (Message("user", "I am Ann"), Message("assistant", "Hello Ann"))
IMAGE = "data:image/png;base64,AA"


@pytest.fixture
def fake(nodes: NodeWorld) -> FakeChatModel:
    model = FakeChatModel()
    nodes.components["fakeChat"] = model
    return model


def llm(**inputs: Any) -> dict[str, Any]:
    return {"llmModel": "fakeChat", "llmModelConfig": {"temperature": 0}, **inputs}


def say(role: str, content: Any) -> dict[str, Any]:
    return {"role": role, "content": content}


def asked(fake: FakeChatModel, call: int = -1) -> list[tuple[str, str]]:
    return [(message.role, message.content) for message in fake.calls[call].messages]


def added(result: NodeResult) -> list[tuple[str, str, str]]:
    return [(message.role, message.content, message.name) for message in result.messages]


async def test_the_model_is_built_from_the_nodes_configuration(nodes: NodeWorld, fake: FakeChatModel) -> None:
    result = await run_llm(nodes.context("hello"), llm())

    assert nodes.built == [("fakeChat", {"temperature": 0})]
    assert result.output["content"] == "You said: hello"


async def test_what_an_answer_took_is_counted(nodes: NodeWorld, fake: FakeChatModel) -> None:
    result = await run_llm(nodes.context("hello there"), llm())

    assert result.usage == Usage(2, 4)


async def test_system_messages_stand_first_and_the_question_last(nodes: NodeWorld, fake: FakeChatModel) -> None:
    messages = [say("developer", "Be brief."), say("system", "You are Bob."), say("user", ""), {"role": "system"}]
    ctx = nodes.context("hello", history=(Message("user", "given"),), past=PAST)

    await run_llm(ctx, llm(llmMessages=messages))

    assert asked(fake) == [
        ("system", "You are Bob."),
        ("user", "given"),
        ("developer", "Be brief."),
        ("user", "I am Ann"),
        ("assistant", "Hello Ann"),
        ("user", "hello"),
    ]


async def test_later_nodes_see_the_run_but_neither_the_given_history_nor_the_question_again(
    nodes: NodeWorld, fake: FakeChatModel
) -> None:
    run = (Message("user", "hello"), Message("user", "first answer", name="first"))
    ctx = nodes.context("hello", history=(Message("user", "given"),), images=(IMAGE,), past=PAST, messages=run)

    result = await run_llm(ctx, llm(llmUserMessage="Sum up."))

    assert [content for _, content in asked(fake)] == ["I am Ann", "Hello Ann", "hello", "first answer", "Sum up."]
    assert not any(message.images for message in fake.calls[0].messages)
    assert added(result) == [("user", "You said: Sum up.", "node")]


async def test_without_memory_a_model_sees_only_what_it_is_told(nodes: NodeWorld, fake: FakeChatModel) -> None:
    ctx = nodes.context("hello", past=PAST)

    result = await run_llm(ctx, llm(llmEnableMemory=False, llmMessages=[say("system", "Be kind.")]))

    assert asked(fake) == [("system", "Be kind."), ("user", "hello")]
    assert added(result)[0] == ("user", "hello", "")


async def test_a_user_message_of_the_author_stands_for_the_question(nodes: NodeWorld, fake: FakeChatModel) -> None:
    inputs = llm(llmEnableMemory=False, llmMessages=[say("user", "Translate: hello")])

    result = await run_llm(nodes.context("hello", images=(IMAGE,)), inputs)

    assert asked(fake) == [("user", "Translate: hello")]
    assert fake.calls[0].messages[0].images == (IMAGE,)
    assert added(result)[0] == ("user", "Translate: hello", "")


@pytest.mark.parametrize(("value", "said"), [(0, "0"), (False, "false"), (1.5, "1.5")])
async def test_what_is_no_text_is_said_as_json(nodes: NodeWorld, fake: FakeChatModel, value: Any, said: str) -> None:
    await run_llm(nodes.context("hello"), llm(llmEnableMemory=False, llmMessages=[say("user", value)]))

    assert asked(fake) == [("user", said)]


async def test_images_go_with_the_question(nodes: NodeWorld, fake: FakeChatModel) -> None:
    result = await run_llm(nodes.context("What is it?", images=(IMAGE,)), llm())

    assert fake.calls[0].messages[-1].images == (IMAGE,)
    assert result.messages[0].images == (IMAGE,)
    assert result.input == {"messages": [say("user", "What is it?")]}


async def test_a_form_is_the_question_line_by_line(nodes: NodeWorld, fake: FakeChatModel) -> None:
    await run_llm(nodes.context(" ", form={"subject": "Hi", "age": 4}), llm())

    assert asked(fake) == [("user", "subject: Hi\nage: 4")]


async def test_nothing_to_ask_is_refused(nodes: NodeWorld, fake: FakeChatModel) -> None:
    with pytest.raises(NodeInputError, match="Error in LLM node: There is nothing to ask the model"):
        await run_llm(nodes.context(""), llm())


@pytest.mark.parametrize(("size", "kept"), [(1, ["Hello Ann", "hello"]), ("", ["I am Ann", "Hello Ann", "hello"])])
async def test_a_window_keeps_the_newest(nodes: NodeWorld, fake: FakeChatModel, size: Any, kept: list[str]) -> None:
    ctx = nodes.context("hello", past=PAST)

    await run_llm(ctx, llm(llmMemoryType="windowSize", llmMemoryWindowSize=size))

    assert [content for _, content in asked(fake)] == kept


async def test_a_summary_stands_for_what_was_said_before(nodes: NodeWorld, fake: FakeChatModel) -> None:
    nodes.components["fakeChat"] = fake = FakeChatModel(["Ann said hello.", "Hello again"])

    result = await run_llm(nodes.context("hello", past=PAST), llm(llmMemoryType="conversationSummary"))

    assert asked(fake, 0)[0][1].endswith("user: I am Ann\nassistant: Hello Ann")
    assert asked(fake, 1) == [("assistant", "Ann said hello."), ("user", "hello")]
    assert result.usage.output_tokens == 5


async def test_there_is_no_summary_of_nothing(nodes: NodeWorld, fake: FakeChatModel) -> None:
    await run_llm(nodes.context("hello"), llm(llmMemoryType="conversationSummary"))

    assert [asked(fake, call) for call in range(len(fake.calls))] == [[("user", "hello")]]


@pytest.mark.parametrize(("messages", "role"), [("", "system"), ([say("system", "Be kind.")], "user")])
async def test_a_summary_buffer_sums_up_what_exceeds_its_limit(nodes: NodeWorld, messages: Any, role: str) -> None:
    nodes.components["fakeChat"] = fake = FakeChatModel(["It began with Ann.", "ok"])
    limit = -(-len(transcript([PAST[1], Message("user", "hello")]).encode()) // BYTES_A_TOKEN)
    inputs = llm(llmMemoryType="conversationSummaryBuffer", llmMemoryMaxTokenLimit=str(limit), llmMessages=messages)

    await run_llm(nodes.context("hello", past=PAST), inputs)

    assert asked(fake, 1)[-3:] == [
        (role, "Previous conversation summary: It began with Ann."),
        ("assistant", "Hello Ann"),
        ("user", "hello"),
    ]


async def test_a_summary_buffer_below_its_limit_keeps_everything(nodes: NodeWorld, fake: FakeChatModel) -> None:
    await run_llm(nodes.context("hello", past=PAST), llm(llmMemoryType="conversationSummaryBuffer"))

    assert [content for _, content in asked(fake)] == ["I am Ann", "Hello Ann", "hello"]


async def test_an_unknown_kind_of_memory_is_named(nodes: NodeWorld, fake: FakeChatModel) -> None:
    with pytest.raises(NodeInputError, match="no memory of type 'elephant'"):
        await run_llm(nodes.context("hello"), llm(llmMemoryType="elephant"))


async def test_an_unknown_role_is_named(nodes: NodeWorld, fake: FakeChatModel) -> None:
    with pytest.raises(NodeInputError, match="cannot have the role 'wizard'"):
        await run_llm(nodes.context("hello"), llm(llmMessages=[say("wizard", "Abra")]))


@pytest.mark.parametrize(("given", "role"), [("assistantMessage", "assistant"), ("userMessage", "user"), ("", "user")])
async def test_the_answer_joins_the_run_under_the_nodes_name(
    nodes: NodeWorld, fake: FakeChatModel, given: str, role: str
) -> None:
    ctx = nodes.context("hello", label="Topic  Enhancer")

    result = await run_llm(ctx, llm(llmReturnResponseAs=given))

    assert added(result) == [("user", "hello", ""), (role, "You said: hello", "topic_enhancer")]


async def test_state_entries_are_left_for_the_run_to_resolve(nodes: NodeWorld, fake: FakeChatModel) -> None:
    update = [{"key": "answer", "value": "{{ output }}"}, {"key": "", "value": "lost"}]

    result = await run_llm(nodes.context("hello"), llm(llmUpdateState=update))

    assert result.state == {"answer": "{{ output }}"}


async def test_the_last_node_streams_its_words_and_thoughts(nodes: NodeWorld) -> None:
    nodes.components["fakeChat"] = FakeChatModel([Completion("It is 42", thinking="Let me see")])

    result = await run_llm(nodes.context("hello", streams=True), llm())

    assert nodes.seen.tokens == ["It", " is", " 42"]
    assert nodes.seen.thoughts == [("Let me see", None), ("", 0.0)]
    assert result.output["reasonContent"] == {"thinking": "Let me see", "thinkingDuration": 0.0}


async def test_nodes_in_the_middle_keep_their_words(nodes: NodeWorld, fake: FakeChatModel) -> None:
    await run_llm(nodes.context("hello", streams=True, is_last=False), llm())

    assert nodes.seen.tokens == []
    assert not fake.calls[0].streamed


async def test_a_model_kept_from_streaming_says_everything_at_once(nodes: NodeWorld) -> None:
    nodes.components["fakeChat"] = fake = FakeChatModel(streaming=False)

    await run_llm(nodes.context("hello", streams=True), llm())

    assert nodes.seen.tokens == ["You said: hello"]
    assert not fake.calls[0].streamed


async def test_a_model_is_required(nodes: NodeWorld) -> None:
    with pytest.raises(NodeInputError) as refused:
        await run_llm(nodes.context("hello"), {"llmModel": ""})

    assert refused.value.message == "Error in LLM node: Model is required"


async def test_something_else_than_a_chat_model_is_refused(nodes: NodeWorld) -> None:
    nodes.components["fakeChat"] = "a text"

    with pytest.raises(NodeInputError, match="'fakeChat' is no chat model"):
        await run_llm(nodes.context("hello"), llm())


async def test_a_vendors_refusal_keeps_its_kind_and_says_where(nodes: NodeWorld) -> None:
    nodes.components["fakeChat"] = FakeChatModel([ProviderError("too busy", retryable=True, status=429)])

    with pytest.raises(ProviderError) as failed:
        await run_llm(nodes.context("hello"), llm())

    assert str(failed.value) == failed.value.message == "Error in LLM node: too busy"
    assert (failed.value.retryable, failed.value.status) == (True, 429)
