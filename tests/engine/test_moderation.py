import orjson
import pytest

from engine.errors import NodeError, NodeInputError, ProviderError
from engine.events import RunFinished, TokenEmitted
from engine.flow import parse_flow
from engine.moderation import Moderation, moderated, say_by_words
from engine.nodes.chains import run_llm_chain
from engine.nodes.moderations import run_openai, run_simple
from engine.prompts import Prompt
from engine.providers.base import Usage
from engine.providers.fake import FakeChatModel
from engine.registry import load_registry
from engine.runner import run_flow
from tests.engine.node_world import MemoryCredentials, NodeWorld
from tests.engine.web_server import web_server
from tests.engine.wired import wired

DENIED = {"denyList": "secret recipe\n\nThe weather\n", "moderationErrorMessage": "Not that, please."}
ASKS = Prompt((("user", "{question}"),))


async def simple(nodes: NodeWorld, model: FakeChatModel | None = None) -> Moderation:
    moderation: Moderation = (await run_simple(nodes.context(), {**DENIED, "model": model or ""})).value
    return moderation


@pytest.mark.parametrize("question", ["Tell me the SECRET recipe!", "the weather?"])
async def test_what_is_on_the_list_is_refused(nodes: NodeWorld, question: str) -> None:
    moderation = await simple(nodes)

    assert (await moderation.judge(question)).refusal == "Not that, please."
    assert (await moderation.judge("Tell me a joke")).refusal == ""


@pytest.mark.parametrize(
    ("said", "refusal"),
    [("Yes.", "Not that, please."), ("**YES**, it does.", "Not that, please."), ("No", ""), (' "no."', "")],
)
async def test_a_model_tells_what_means_the_same(nodes: NodeWorld, said: str, refusal: str) -> None:
    model = FakeChatModel([said])
    moderation = await simple(nodes, model)

    verdict = await moderation.judge("How is that dish made?")

    assert verdict.refusal == refusal
    assert verdict.usage.total_tokens > 0
    system, user = model.calls[0].messages
    assert "- secret recipe\n- The weather" in system.content
    assert user.content == "How is that dish made?"


@pytest.mark.parametrize("said", ["I cannot tell, yes?", "", "Nobody knows."])
async def test_a_model_that_says_neither_yes_nor_no_lets_nothing_pass(nodes: NodeWorld, said: str) -> None:
    moderation = await simple(nodes, FakeChatModel([said]))

    with pytest.raises(NodeError, match="neither Yes nor No"):
        await moderation.judge("How is that dish made?")


async def test_what_is_on_the_list_costs_no_model_call(nodes: NodeWorld) -> None:
    model = FakeChatModel()

    await (await simple(nodes, model)).judge("The secret recipe")

    assert model.calls == []


async def test_an_empty_list_is_refused(nodes: NodeWorld) -> None:
    with pytest.raises(NodeInputError, match="deny list is empty"):
        await run_simple(nodes.context(), {"denyList": " \n"})


@pytest.mark.parametrize(("flagged", "refusal"), [(True, "No."), (False, "")])
async def test_openais_verdict_holds(nodes: NodeWorld, flagged: bool, refusal: str) -> None:
    async with web_server((200, orjson.dumps({"results": [{"flagged": flagged}]}).decode())) as server:
        inputs = {"basepath": server.url, "moderationErrorMessage": "No."}
        moderation: Moderation = (await run_openai(nodes.context(), inputs)).value

        verdict = await moderation.judge("Hello")

    assert verdict.refusal == refusal
    assert server.received[0].path == "/moderations"
    assert server.received[0].body == {"model": "omni-moderation-latest", "input": "Hello"}


async def test_openai_is_sent_the_key_and_never_repeats_it(nodes: NodeWorld) -> None:
    nodes.credentials = MemoryCredentials({"c1": {"openAIApiKey": "sk-very-secret-key"}})
    async with web_server((403, '{"error": {"message": "not for sk-very-secret-key"}}')) as server:
        ctx = nodes.context(credential="c1")
        moderation: Moderation = (await run_openai(ctx, {"basepath": server.url})).value

        with pytest.raises(ProviderError) as refused:
            await moderation.judge("Hello")

    assert server.received[0].headers["authorization"] == "Bearer sk-very-secret-key"
    assert "very-secret" not in refused.value.message


@pytest.mark.parametrize("answer", ['{"results": 7}', '{"results": []}', '{"results": [{"flagged": null}]}', "[]"])
async def test_an_unreadable_verdict_lets_nothing_pass(nodes: NodeWorld, answer: str) -> None:
    async with web_server((200, answer)) as server:
        moderation: Moderation = (await run_openai(nodes.context(), {"basepath": server.url})).value

        with pytest.raises(ProviderError, match="neither yes nor no"):
            await moderation.judge("Hello")


async def test_openais_own_server_wants_a_key(nodes: NodeWorld) -> None:
    with pytest.raises(NodeInputError, match="openAIApi"):
        await run_openai(nodes.context(), {})


async def test_a_refusal_is_an_answer_said_word_by_word(nodes: NodeWorld) -> None:
    model = FakeChatModel()
    inputs = {"model": model, "prompt": ASKS, "inputModeration": [await simple(nodes)]}

    result = await moderated(run_llm_chain)(nodes.context("The weather", streams=True), inputs)

    assert result.output == {"content": "Not that, please."}
    assert nodes.seen.tokens == ["Not", " that,", " please."]
    assert model.calls == []


@pytest.mark.timeout(10)
@pytest.mark.parametrize("text", ["Not here.", " No  way. \n", " " * 50_000, ""])
def test_a_text_said_by_words_is_the_same_text(text: str) -> None:
    said: list[str] = []

    say_by_words(text, said.append)

    assert "".join(said) == text


async def test_what_may_pass_is_answered_and_its_judgement_is_paid_for(nodes: NodeWorld) -> None:
    judge, model = FakeChatModel(["No"]), FakeChatModel(["Sunny."])
    inputs = {"model": model, "prompt": ASKS, "inputModeration": [await simple(nodes, judge)]}

    result = await moderated(run_llm_chain)(nodes.context("A joke?"), inputs)

    alone = await run_llm_chain(nodes.context("A joke?"), {"model": FakeChatModel(["Sunny."]), "prompt": ASKS})
    assert result.output == {"content": "Sunny."}
    assert result.usage.output_tokens == (alone.usage + Usage(0, 1)).output_tokens


async def test_a_chain_that_is_handed_on_is_not_judged(nodes: NodeWorld) -> None:
    inputs = {"model": FakeChatModel(), "prompt": ASKS, "inputModeration": [await simple(nodes)]}

    result = await moderated(run_llm_chain)(nodes.context("The weather", is_last=False), inputs)

    assert result.output == {}


async def test_what_is_no_moderation_is_refused(nodes: NodeWorld) -> None:
    inputs = {"model": FakeChatModel(), "prompt": ASKS, "inputModeration": ["text"]}

    with pytest.raises(NodeInputError, match="input moderation is none"):
        await moderated(run_llm_chain)(nodes.context(), inputs)


MODERATED = sorted(t.spec.name for t in load_registry() if t.spec.param("inputModeration") and t.spec.role == "ending")


@pytest.mark.parametrize("name", MODERATED)
async def test_every_ending_with_a_moderation_heeds_it(nodes: NodeWorld, name: str) -> None:
    node_type = load_registry().get(name)
    assert node_type is not None

    result = await node_type.run(nodes.context("The weather"), {"inputModeration": [await simple(nodes)]})

    assert result.output == {"content": "Not that, please."}


async def test_a_flow_answers_with_the_refusal(nodes: NodeWorld) -> None:
    flow = parse_flow(
        wired(
            ("chatOpenAI_0", "llmChain_0", "model"),
            ("promptTemplate_0", "llmChain_0", "prompt"),
            ("inputModerationSimple_0", "llmChain_0", "inputModeration"),
            chatOpenAI_0={"basepath": "http://127.0.0.1:1", "modelName": "m"},
            promptTemplate_0={"template": "{question}"},
            inputModerationSimple_0=DENIED,
            llmChain_0={
                "model": "{{chatOpenAI_0.data.instance}}",
                "prompt": "{{promptTemplate_0.data.instance}}",
                "inputModeration": ["{{inputModerationSimple_0.data.instance}}"],
            },
        )
    )
    request = nodes.context("The weather", streams=True).request

    events = [event async for event in run_flow(flow, request, nodes.world, registry=load_registry())]

    assert isinstance(events[-1], RunFinished)
    assert events[-1].text == "Not that, please."
    assert "".join(e.text for e in events if isinstance(e, TokenEmitted)) == "Not that, please."
