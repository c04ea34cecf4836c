"""Stores in memory, retrievers, and the chains and engines that answer from them."""

from collections.abc import Sequence
from typing import Any

import pytest

from engine import vectors
from engine.answering import FITS, QueryEngine, Refining, RetrievalChain, Stuffing, Summarizing, Synthesizer, silently
from engine.documents import FunctionSource
from engine.errors import NodeError, NodeInputError
from engine.memories import Memory
from engine.nodes import engines, retrieval_chains, retrievers
from engine.nodes.vector_stores import run_memory
from engine.providers.base import Completion, Document, Found, Message, Row, Sourced, ToolCall
from engine.providers.fake import FakeChatModel, FakeEmbedder
from engine.records import Cleanup, RecordManager, write
from engine.retrieval import FusedRetriever, LikenessFilter, Search, StoreRetriever, ThresholdRetriever
from engine.spec import NodeRun
from engine.vectors import EmbeddedStore, MemoryIndex, Shelf, diverse
from tests.engine.node_world import MemoryRecords, NodeWorld

RUNS: dict[str, NodeRun] = {
    node_type.spec.name: node_type.run
    for family in (engines.NODES, retrieval_chains.NODES, retrievers.NODES)
    for node_type in family
}
SNOW, COAL, GRASS = "snow is white", "coal is black", "grass is green"


async def store(*texts: str, **metadata: Any) -> EmbeddedStore:
    made = EmbeddedStore(MemoryIndex(), FakeEmbedder())
    await made.add([Document(text, metadata) for text in texts])
    return made


def texts_of(documents: Sequence[Document]) -> list[str]:
    return [document.text for document in documents]


async def built(nodes: NodeWorld, name: str, /, **inputs: Any) -> Any:
    return (await RUNS[name](nodes.context(is_last=False), inputs)).value


async def test_the_likest_document_comes_first() -> None:
    retriever = StoreRetriever(await store(SNOW, COAL, GRASS))

    assert texts_of(await retriever.retrieve("what is black coal"))[0] == COAL


async def test_the_same_document_is_kept_once() -> None:
    kept = await store(SNOW, SNOW)
    await kept.add([Document(SNOW)])

    assert len(await kept.search("snow", top_k=9)) == 1


@pytest.mark.parametrize(
    "where", [{"shelf": "a"}, {"shelf": ["a", "c"]}, {"shelf": {"$eq": "a"}}, {"shelf": {"$in": ["a"]}}]
)
async def test_a_filter_lets_its_values_through(where: dict[str, Any]) -> None:
    kept = await store(SNOW, shelf="a")
    await kept.add([Document(COAL, {"shelf": "b"}), Document(GRASS)])

    assert [found.document.text for found in await kept.search("is", top_k=9, where=where)] == [SNOW]


@pytest.mark.parametrize("condition", [{"$gt": 1}, {"$in": 1}, {}])
async def test_a_filter_that_cannot_be_read_is_refused(condition: Any) -> None:
    with pytest.raises(NodeInputError, match="metadata filter of 'shelf'"):
        await (await store(SNOW)).search("is", top_k=1, where={"shelf": condition})


async def test_vectors_of_another_model_are_refused() -> None:
    index = MemoryIndex()
    await EmbeddedStore(index, FakeEmbedder()).add([Document(SNOW)])

    with pytest.raises(NodeInputError, match="another length"):
        await index.query([1.0, 2.0], top_k=1, where=None, with_vectors=False)


async def test_memory_holds_so_much_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vectors, "MOST_ROWS", 2)

    with pytest.raises(NodeError, match="at most 2 chunks"):
        await store(SNOW, COAL, GRASS)


def test_the_longest_unused_index_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vectors, "MOST_INDEXES", 2)
    shelf, index = Shelf(), MemoryIndex()
    shelf.put("a", index, now=0)
    shelf.put("b", index, now=0)
    shelf.find("a", now=1)
    shelf.put("c", index, now=1)

    assert [shelf.find(key, now=1) is not None for key in "abc"] == [True, False, True]


async def test_indexes_that_take_up_too_much_together_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vectors, "MOST_BYTES", 100)
    shelf = Shelf()
    for key in "abc":
        index = MemoryIndex()
        await index.upsert([Row("1", (1.0, 2.0), Document("x" * 30))])
        shelf.put(key, index, now=0)

    assert [key for key in "abc" if shelf.find(key, now=1)] == ["b", "c"]


async def test_a_store_in_memory_reads_its_documents_once_an_hour(nodes: NodeWorld) -> None:
    reads: list[str] = []

    async def read() -> list[Document]:
        reads.append("read")
        return [Document(SNOW)]

    inputs = {"document": [FunctionSource("snow", read)], "embeddings": FakeEmbedder()}

    first = await run_memory(nodes.context(), inputs)
    await run_memory(nodes.context(), inputs)
    once = len(reads)
    nodes.clock.seconds += vectors.LONGEST_S + 1
    await run_memory(nodes.context(), inputs)

    assert texts_of(await first.value.retrieve("snow")) == [SNOW]
    assert (once, len(reads)) == (1, 2)


def found(text: str, score: float, *vector: float) -> Found:
    return Found(Document(text), score, vector)


@pytest.mark.parametrize(("balance", "texts"), [(1.0, ["a", "a2"]), (0.5, ["a", "b"])])
def test_diverse_documents_do_not_say_the_same(balance: float, texts: list[str]) -> None:
    all_found = [found("a", 0.9, 1.0, 0.0), found("a2", 0.89, 1.0, 0.01), found("b", 0.6, 0.0, 1.0)]

    assert [item.document.text for item in diverse(all_found, top_k=2, balance=balance)] == texts


async def test_a_threshold_keeps_what_is_like_enough(nodes: NodeWorld) -> None:
    retriever = await built(
        nodes, "similarityThresholdRetriever", vectorStore=await store(SNOW, COAL), minSimilarityScore="90"
    )

    assert texts_of(await retriever.retrieve(SNOW)) == [SNOW]


async def test_several_questions_find_together_what_one_does_not(nodes: NodeWorld) -> None:
    model = FakeChatModel(replies=("white snow\nblack coal",))
    retriever = await built(nodes, "multiQueryRetriever", vectorStore=await store(SNOW, COAL), model=model)

    documents = await retriever.retrieve("colours")

    assert sorted(texts_of(documents)) == [COAL, SNOW]


async def test_ranks_are_fused() -> None:
    fused = FusedRetriever(
        FakeChatModel(replies=("coal\ncoal is",)), StoreRetriever(await store(SNOW, COAL)), "{question}", most=1
    )

    assert texts_of(await fused.retrieve("coal")) == [COAL]


async def test_a_prompt_of_an_unknown_name_is_refused(nodes: NodeWorld) -> None:
    with pytest.raises(NodeInputError, match="no prompt 'webserch' under 'promptKey': choose one of websearch"):
        await built(nodes, "HydeRetriever", vectorStore=await store(SNOW), model=FakeChatModel(), promptKey="webserch")


async def test_an_answer_is_made_up_to_look_for_what_is_like_it(nodes: NodeWorld) -> None:
    model = FakeChatModel(replies=(COAL,))
    retriever = await built(nodes, "HydeRetriever", vectorStore=await store(SNOW, COAL), model=model, topK=1)

    assert texts_of(await retriever.retrieve("What burns?")) == [COAL]


async def test_a_filter_leaves_out_what_another_model_finds_unlike(nodes: NodeWorld) -> None:
    base = StoreRetriever(await store(SNOW, COAL))
    retriever = await built(
        nodes, "embeddingsFilterRetriever", baseRetriever=base, embeddings=FakeEmbedder(), similarityThreshold="0.9"
    )

    assert texts_of(await retriever.retrieve(SNOW)) == [SNOW]


async def test_a_model_keeps_what_bears_on_the_question(nodes: NodeWorld) -> None:
    base = StoreRetriever(await store(SNOW, COAL))
    model = FakeChatModel(replies=("white", "NO_OUTPUT"))
    retriever = await built(nodes, "llmFilterRetriever", baseRetriever=base, model=model)

    assert texts_of(await retriever.retrieve("snow")) == ["white"]


async def test_a_retriever_can_hand_on_what_it_finds(nodes: NodeWorld) -> None:
    inputs = {"vectorStore": await store(SNOW), "minSimilarityScore": 0}
    run = RUNS["similarityThresholdRetriever"]

    text = (await run(nodes.context("snow", output="text"), inputs)).value
    documents = (await run(nodes.context("snow", output="document"), inputs)).value

    assert text == SNOW
    assert [document["pageContent"] for document in documents] == [SNOW]


@pytest.mark.parametrize(("shows", "sources"), [("true", [SNOW]), ("false", [])])
async def test_a_retriever_tool_says_what_it_finds(nodes: NodeWorld, shows: str, sources: list[str]) -> None:
    retriever = StoreRetriever(await store(SNOW))
    tool = await built(nodes, "retrieverTool", retriever=retriever, name="find it", returnSourceDocuments=shows)

    said = await tool.call({"input": "snow"})

    assert (said, tool.spec.name) == (SNOW, "find_it")
    assert texts_of(said.documents if isinstance(said, Sourced) else ()) == sources


@pytest.mark.parametrize("given", ['{"owner": "$flow.sessionId"}', {"owner": "$flow.sessionId"}])
async def test_a_retriever_tool_looks_only_where_its_filter_says(nodes: NodeWorld, given: Any) -> None:
    papers = await store(SNOW, owner="s1", shelf="a")
    await papers.add([Document(COAL, {"owner": "s1", "shelf": "b"}), Document(GRASS, {"owner": "s2", "shelf": "a"})])
    search = Search(where={"shelf": "a"})
    retriever = StoreRetriever(papers, search) if isinstance(given, str) else ThresholdRetriever(papers, 0.0, search)
    tool = await built(nodes, "retrieverTool", retriever=retriever, retrieverToolMetadataFilter=given)

    assert await tool.call({"input": "what is"}) == SNOW


@pytest.mark.parametrize(
    ("given", "told"), [({"owner": "$flow.state.owner"}, "has no value"), ({"owner": "s1"}, "cannot be filtered")]
)
async def test_a_retriever_tool_finds_nothing_without_its_filter(
    nodes: NodeWorld, given: dict[str, str], told: str
) -> None:
    kept = await store(SNOW)
    plain = StoreRetriever(kept)
    retriever = plain if "no value" in told else LikenessFilter(plain, FakeEmbedder(), 0.0)

    async def look_up() -> None:
        tool = await built(nodes, "retrieverTool", retriever=retriever, retrieverToolMetadataFilter=given)
        await tool.call({"input": "snow"})

    with pytest.raises(NodeInputError, match=told):
        await look_up()


async def ask(nodes: NodeWorld, name: str, model: FakeChatModel, question: str = "snow?", **inputs: Any) -> Any:
    return await RUNS[name](nodes.context(question), {"model": model, **inputs})


async def test_a_chain_asks_with_what_it_finds(nodes: NodeWorld) -> None:
    model = FakeChatModel(replies=("White.",))

    result = await ask(nodes, "vectorDBQAChain", model, vectorStore=await store(SNOW))

    assert result.output == {"content": "White."}
    system, question = model.calls[0].messages
    assert SNOW in system.content
    assert question.content == "snow?"


async def test_a_first_question_is_not_rephrased(nodes: NodeWorld) -> None:
    model = FakeChatModel(replies=("White.",))

    await ask(nodes, "conversationalRetrievalQAChain", model, vectorStoreRetriever=StoreRetriever(await store(SNOW)))

    assert len(model.calls) == 1


@pytest.mark.parametrize(
    ("name", "inputs", "told"),
    [
        ("conversationalRetrievalQAChain", {"memory": "none"}, "connect one to its 'memory'"),
        ("conversationalRetrievalToolAgent", {"rephraseModel": "none"}, "connect one to its 'rephraseModel'"),
    ],
)
async def test_a_part_of_another_kind_is_refused_by_name(
    nodes: NodeWorld, name: str, inputs: dict[str, Any], told: str
) -> None:
    nodes.history.sessions["s1"] = [Message("user", "Hi"), Message("assistant", "Hello.")]
    inputs = {"memory": Memory(nodes.history), "vectorStoreRetriever": StoreRetriever(await store(SNOW)), **inputs}

    with pytest.raises(NodeInputError, match=told):
        await ask(nodes, name, FakeChatModel(), **inputs)


async def test_an_older_system_message_goes_before_the_response_prompt(nodes: NodeWorld) -> None:
    model = FakeChatModel(replies=("Aye.",))
    retriever = StoreRetriever(await store(SNOW))

    await ask(
        nodes,
        "conversationalRetrievalQAChain",
        model,
        vectorStoreRetriever=retriever,
        systemMessagePrompt="Be a pirate.",
    )

    assert model.calls[0].messages[0].content.startswith("Be a pirate.\nYou are a helpful assistant.")


@pytest.mark.parametrize(
    "said",
    [
        '{"destination": "fuel", "next_inputs": "coal"}',
        'Of {winter, fuel}:\n```json\n{"destination": "fuel", "next_inputs": "coal"}\n```',
        '{"destination": "fuel", "next_inputs": " "}',
    ],
)
async def test_a_question_is_routed_to_the_retriever_that_fits(nodes: NodeWorld, said: str) -> None:
    model = FakeChatModel(replies=(said, "Black."))
    choices = [
        StoreRetriever(await store(SNOW), name="winter", description="Snow."),
        StoreRetriever(await store(COAL), name="fuel", description="Coal."),
    ]

    result = await ask(nodes, "multiRetrievalQAChain", model, vectorStoreRetriever=choices, returnSourceDocuments=True)

    assert result.output["content"] == "Black."
    assert [document["pageContent"] for document in result.output["sourceDocuments"]] == [COAL]


async def test_a_question_that_fits_nowhere_is_answered_without_documents(nodes: NodeWorld) -> None:
    model = FakeChatModel(replies=("no json", "I do not know."))
    choices = [StoreRetriever(await store(SNOW), name=name) for name in ("a", "b")]

    result = await ask(nodes, "multiRetrievalQAChain", model, vectorStoreRetriever=choices)

    assert result.output == {"content": "I do not know."}


async def test_an_agent_sees_what_was_found_and_uses_its_tools(nodes: NodeWorld) -> None:
    calls = Completion("", tool_calls=(ToolCall("1", "find", {"input": "coal"}),))
    model = FakeChatModel(replies=(calls, "Black."))
    tool = await built(nodes, "retrieverTool", retriever=StoreRetriever(await store(COAL)), name="find")
    memory = Memory(nodes.history)

    result = await ask(
        nodes,
        "conversationalRetrievalToolAgent",
        model,
        vectorStoreRetriever=StoreRetriever(await store(SNOW)),
        tools=[tool],
        memory=memory,
    )

    assert (result.output["content"], result.output["usedTools"][0]["toolOutput"]) == ("Black.", COAL)
    assert SNOW in model.calls[0].messages[0].content


LONG = [f"{letter * (FITS - 10)}" for letter in "abc"]


@pytest.mark.parametrize(
    ("synthesizer", "texts", "calls"),
    [
        (Refining(), ["a", "b"], 1),
        (Refining(is_compact=False), ["a", "b"], 2),
        (Refining(), LONG, 3),
        (Stuffing(), LONG, 1),
        (Summarizing(), ["a", "b"], 1),
        (Summarizing(), LONG, 4),
        (Refining(), [], 1),
    ],
)
async def test_synthesizers_ask_as_often_as_they_must(synthesizer: Synthesizer, texts: list[str], calls: int) -> None:
    model = FakeChatModel(replies=tuple(f"answer {number}" for number in range(calls)))

    told = await synthesizer.synthesize(model, "what?", texts, silently)

    assert told.text == f"answer {calls - 1}"
    assert len(model.calls) == calls


async def test_answers_that_do_not_get_shorter_come_to_an_end() -> None:
    model = FakeChatModel(replies=tuple("x" * FITS for _ in range(4)))

    told = await Summarizing().synthesize(model, "what?", LONG, silently)

    assert told.text


async def test_an_engine_answers_from_its_retrievers_model(nodes: NodeWorld) -> None:
    model = FakeChatModel(replies=("White.",))
    retriever = StoreRetriever(await store(SNOW), model=model)

    result = await RUNS["queryEngine"](
        nodes.context("snow?"), {"vectorStoreRetriever": retriever, "returnSourceDocuments": "true"}
    )

    assert result.output["content"] == "White."
    assert [document["pageContent"] for document in result.output["sourceDocuments"]] == [SNOW]


async def test_an_engine_without_a_model_is_refused(nodes: NodeWorld) -> None:
    with pytest.raises(NodeInputError, match="needs a retriever with a chat model"):
        await RUNS["queryEngine"](nodes.context(), {"vectorStoreRetriever": StoreRetriever(await store(SNOW))})


async def test_a_context_chat_answers_within_the_conversation(nodes: NodeWorld) -> None:
    nodes.history.sessions["s1"] = [Message("user", "Hi"), Message("assistant", "Hello")]
    model = FakeChatModel(replies=("White.",))

    await ask(
        nodes,
        "contextChatEngine",
        model,
        vectorStoreRetriever=StoreRetriever(await store(SNOW)),
        memory=Memory(nodes.history),
    )

    assert [message.content for message in model.calls[0].messages[1:]] == ["Hi", "Hello", "snow?"]


@pytest.mark.parametrize("said", ["no list", '[{"subQuestion": "snow?", "toolName": ["winter"]}]', "[1, null]"])
async def test_parts_that_make_no_sense_go_to_every_engine(nodes: NodeWorld, said: str) -> None:
    engine = QueryEngine(StoreRetriever(await store(SNOW)), FakeChatModel(replies=("White.",)))
    tool = await built(nodes, "queryEngineToolLlamaIndex", baseQueryEngine=engine, toolName="winter", toolDesc="Snow.")
    model = FakeChatModel(replies=(said, "All in all white."))

    result = await ask(nodes, "subQuestionQueryEngine", model, queryEngineTools=[tool])

    assert result.output["content"] == "All in all white."
    assert "Sub question: snow?\nResponse: White." in model.calls[1].messages[0].content


async def test_a_chain_that_does_not_end_the_flow_is_handed_on(nodes: NodeWorld) -> None:
    chain = await built(
        nodes, "retrievalQAChain", model=FakeChatModel(), vectorStoreRetriever=StoreRetriever(await store(SNOW))
    )

    assert isinstance(chain, RetrievalChain)


@pytest.mark.parametrize(
    ("cleanup", "texts"), [("none", [SNOW, COAL, GRASS]), ("incremental", [GRASS, COAL]), ("full", [GRASS])]
)
async def test_records_decide_what_is_deleted(cleanup: Cleanup, texts: list[str]) -> None:
    kept = EmbeddedStore(MemoryIndex(), FakeEmbedder())
    manager = RecordManager(MemoryRecords(), "n", cleanup)
    await write(kept, [Document(SNOW, {"source": "a"}), Document(COAL, {"source": "b"})], manager)

    written = await write(kept, [Document(GRASS, {"source": "a"})], manager)

    left = [item.document.text for item in await kept.search("is", top_k=9)]
    assert sorted(left) == sorted(texts)
    assert (written.added, written.deleted) == (1, 3 - len(texts))


async def test_an_incremental_cleanup_needs_sources() -> None:
    manager = RecordManager(MemoryRecords(), "n", "incremental")

    with pytest.raises(NodeInputError, match="needs 'source' in the metadata"):
        await write(EmbeddedStore(MemoryIndex(), FakeEmbedder()), [Document(SNOW)], manager)
