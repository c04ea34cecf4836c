"""Retrievers: ways to find documents for a question. Chains, agents, tools and engines look things up through them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from engine.prompts import Prompt
from engine.providers.base import ChatModel, Document, Embedder, Retriever, VectorStore
from engine.vectors import cosine, diverse

TOP_K = 4
FETCH_K = 20
BALANCE = 0.5
MOST_QUESTIONS = 10


@dataclass(frozen=True, slots=True)
class Search:
    """How a store is searched. `balance`: see `engine.vectors.diverse`; None: by likeness to the query alone."""

    top_k: int = TOP_K
    where: Mapping[str, Any] = field(default_factory=dict)
    balance: float | None = None
    fetch_k: int = FETCH_K  # how many are found before the diverse ones are chosen


@dataclass(frozen=True, slots=True)
class StoreRetriever:
    """What a vector store finds; implements `Retriever`. `model` answers from it where an engine asks for no other.

    `name` and `description` say what it holds, to a model that chooses among several.
    """

    store: VectorStore
    search: Search = field(default_factory=Search)
    model: ChatModel | None = None
    name: str = ""
    description: str = ""

    async def retrieve(self, query: str) -> list[Document]:
        """See `Retriever.retrieve`."""
        search = self.search
        if search.balance is None:
            found = await self.store.search(query, top_k=search.top_k, where=search.where)
        else:
            fetch_k = max(search.fetch_k, search.top_k)
            found = await self.store.search(query, top_k=fetch_k, where=search.where, with_vectors=True)
            found = diverse(found, top_k=search.top_k, balance=search.balance)
        return [item.document for item in found]


@dataclass(frozen=True, slots=True)
class ThresholdRetriever:
    """Only what is like the query enough; implements `Retriever`. `least` is from 0 to 1."""

    store: VectorStore
    least: float
    search: Search = field(default_factory=Search)

    async def retrieve(self, query: str) -> list[Document]:
        """See `Retriever.retrieve`."""
        found = await self.store.search(query, top_k=self.search.top_k, where=self.search.where)
        return [item.document for item in found if item.score >= self.least]


@dataclass(frozen=True, slots=True)
class MultiQueryRetriever:
    """Has a model put the question in other words, and looks for all of them; implements `Retriever`."""

    model: ChatModel
    retriever: Retriever
    prompt: str  # with {question} and {queryCount}
    count: int = 3

    async def retrieve(self, query: str) -> list[Document]:
        """See `Retriever.retrieve`."""
        said = await _told(self.model, self.prompt, query, queryCount=str(self.count))
        lines = [line.strip() for line in said.replace("<questions>", "").replace("</questions>", "").splitlines()]
        questions = [line for line in lines if line][:MOST_QUESTIONS] or [query]
        return distinct([document for text in questions for document in await self.retriever.retrieve(text)])


@dataclass(frozen=True, slots=True)
class LikenessFilter:
    """Leaves out what is not like the query enough once it was found; implements `Retriever`."""

    retriever: Retriever
    embedder: Embedder
    least: float  # from 0 to 1
    most: int | None = None

    async def retrieve(self, query: str) -> list[Document]:
        """See `Retriever.retrieve`."""
        documents = await self.retriever.retrieve(query)
        if not documents:
            return []
        asked, *vectors = await self.embedder.embed([query, *(document.text for document in documents)])
        scores = [cosine(asked, vector) for vector in vectors]
        ranked = sorted(zip(scores, documents, strict=True), key=lambda pair: -pair[0])
        return [document for score, document in ranked if score >= self.least][: self.most]


@dataclass(frozen=True, slots=True)
class Extractor:
    """Has a model keep only what bears on the question, document by document; implements `Retriever`."""

    retriever: Retriever
    model: ChatModel
    prompt: str  # with {question} and {context}

    async def retrieve(self, query: str) -> list[Document]:
        """See `Retriever.retrieve`."""
        kept = []
        for document in await self.retriever.retrieve(query):
            said = (await _told(self.model, self.prompt, query, context=document.text)).strip()
            if said and said != "NO_OUTPUT":
                kept.append(replace(document, text=said))
        return kept


@dataclass(frozen=True, slots=True)
class HypotheticalRetriever:
    """Has a model answer first, and looks for documents like that answer; implements `Retriever`.

    Source: L. Gao et al., "Precise Zero-Shot Dense Retrieval without Relevance Labels", 2022.
    """

    model: ChatModel
    retriever: Retriever
    prompt: str  # with {question}

    async def retrieve(self, query: str) -> list[Document]:
        """See `Retriever.retrieve`."""
        said = await _told(self.model, self.prompt, query)
        return await self.retriever.retrieve(said or query)


@dataclass(frozen=True, slots=True)
class FusedRetriever:
    """Puts the question in other words and ranks what all of them find together; implements `Retriever`.

    Source: G. Cormack, C. Clarke, S. Büttcher, "Reciprocal Rank Fusion outperforms Condorcet and individual Rank
    Learning Methods", 2009; its constant is `smoothing`.
    """

    model: ChatModel
    retriever: Retriever
    prompt: str  # with {question} and {queryCount}
    count: int = 4
    most: int = TOP_K
    smoothing: float = 60.0

    async def retrieve(self, query: str) -> list[Document]:
        """See `Retriever.retrieve`."""
        said = await _told(self.model, self.prompt, query, queryCount=str(self.count))
        questions = [query, *(line.strip() for line in said.splitlines() if line.strip())][: self.count + 1]
        scores: dict[str, float] = {}
        known: dict[str, Document] = {}
        for text in questions:
            for rank, document in enumerate(await self.retriever.retrieve(text)):
                scores[document.text] = scores.get(document.text, 0.0) + 1 / (rank + self.smoothing)
                known.setdefault(document.text, document)
        return [known[text] for text in sorted(scores, key=lambda text: -scores[text])[: self.most]]


def distinct(documents: Sequence[Document]) -> list[Document]:
    """Each text once, where it came first."""
    known: dict[str, Document] = {}
    for document in documents:
        known.setdefault(document.text, document)
    return list(known.values())


async def _told(model: ChatModel, prompt: str, question: str, **known: str) -> str:
    messages = Prompt((("user", prompt),), {"question": question}).fill(question, **known)
    return (await model.complete(messages)).text
