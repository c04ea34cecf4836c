from random import Random
from typing import Any

import pytest
from langchain_core.embeddings import Embeddings

from engine.errors import ProviderError
from engine.providers.langchain_embeddings import LangChainEmbedder
from engine.providers.retrying import Retrying
from tests.engine.node_world import StillClock

SECRET = "hush-hush-secret"


class Scripted(Embeddings):
    """Fails as it is told to, then gives each text its length."""

    def __init__(self, *failures: Any) -> None:
        self.failures = list(failures)
        self.asked: list[list[str]] = []

    def embed_query(self, text: str) -> list[float]:
        return [float(len(text))]

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        self.asked.append(texts)
        if self.failures:
            failure = self.failures.pop(0)
            if isinstance(failure, Exception):
                raise failure
            return failure  # type: ignore[no-any-return]  # a model that keeps to nothing
        return [self.embed_query(text) for text in texts]


class ClientError(Exception):
    """As botocore raises: the answer is a dict."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.response = {"ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": {"Retry-After": "2"}}}


def adapted(model: Embeddings, clock: StillClock | None = None) -> LangChainEmbedder:
    retrying = Retrying(clock or StillClock(), Random(1))
    return LangChainEmbedder(model, model_name="m", host="example.org", retrying=retrying, secrets=(SECRET,))


async def test_texts_go_in_batches_and_come_back_in_order() -> None:
    model = Scripted()

    vectors = await adapted(model).embed(["x" * length for length in range(10)])

    assert vectors == [(float(length),) for length in range(10)]
    assert [len(batch) for batch in model.asked] == [8, 2]


async def test_no_texts_are_no_call() -> None:
    model = Scripted()

    assert (await adapted(model).embed([]), model.asked) == ([], [])


async def test_a_throttled_call_is_tried_again_when_it_is_due() -> None:
    model, clock = Scripted(ClientError(429, "Too many requests"), ConnectionError("reset")), StillClock()

    vectors = await adapted(model, clock).embed(["snow"])

    assert (vectors, len(model.asked), clock.slept[0]) == ([(4.0,)], 3, 2.0)


async def test_a_lasting_refusal_is_told_without_the_secret() -> None:
    model = Scripted(ClientError(400, f"The model does not know {SECRET}."))

    with pytest.raises(ProviderError, match=r"example\.org answered 400: The model does not know") as refused:
        await adapted(model).embed(["snow"])

    assert SECRET not in str(refused.value)
    assert len(model.asked) == 1


@pytest.mark.parametrize("answer", [[], [["x"]], None])
async def test_an_answer_without_the_vectors_is_an_error(answer: Any) -> None:
    with pytest.raises(ProviderError, match=r"example\.org sent (no|0) embeddings"):
        await adapted(Scripted(answer)).embed(["snow"])
