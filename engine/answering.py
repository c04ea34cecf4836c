"""Answers from documents: what chains and engines of both libraries of exported flows come down to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from engine.documents import documents_text, wire
from engine.prompts import Prompt
from engine.providers.base import ChatModel, Completion, Document, Message, Retriever, Usage
from engine.retrieval import distinct
from engine.spec import NodeResult

FITS = 12_000  # characters of documents that are shown to a model at once: room is left for prompt and answer
TEXT_QA = (
    "Context information is below.\n---------------------\n{context}\n---------------------\nGiven the context "
    "information and not prior knowledge, answer the query.\nQuery: {query}\nAnswer:"
)
REFINE = (
    "The original query is as follows: {query}\nWe have provided an existing answer: {existingAnswer}\nWe have the "
    "opportunity to refine the existing answer (only if needed) with some more context below.\n------------\n"
    "{context}\n------------\nGiven the new context, refine the original answer to better answer the query. If the "
    "context isn't useful, return the original answer.\nRefined Answer:"
)
SUMMARY = (
    "Context information from multiple sources is below.\n---------------------\n{context}\n---------------------\n"
    "Given the information from multiple sources and not prior knowledge, answer the query.\nQuery: {query}\nAnswer:"
)

# Asks a model: silently, or with its words going to whoever watches.
Ask = Callable[[ChatModel, Sequence[Message]], Awaitable[Completion]]


async def silently(model: ChatModel, messages: Sequence[Message]) -> Completion:
    """Nobody watches."""
    return await model.complete(messages)


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer, and the documents that it was drawn from."""

    text: str
    documents: Sequence[Document] = ()
    usage: Usage = field(default_factory=Usage)

    def result(self, *, shows_sources: bool) -> NodeResult:
        """What a chain or an engine gives that ends a flow."""
        sources = {"sourceDocuments": [wire(document) for document in self.documents]} if shows_sources else {}
        output: dict[str, Any] = {"content": self.text, **sources}
        return NodeResult(output=output, value=self.text, usage=self.usage)


@runtime_checkable
class Answerer(Protocol):
    """A chain or an engine as others use it: a tool of an agent, a part of another engine."""

    async def answer(self, question: str, ask: Ask = silently) -> Answered:
        """Raises NodeError if it cannot."""
        ...


@runtime_checkable
class Synthesizer(Protocol):
    """Makes one answer of several texts."""

    async def synthesize(self, model: ChatModel, question: str, texts: Sequence[str], ask: Ask) -> Completion:
        """`ask` puts the last question; those before it are silent."""
        ...


@dataclass(frozen=True, slots=True)
class Refining:
    """Answers from the first texts, then refines the answer with each of the next; implements `Synthesizer`.

    `is_compact`: as many texts at once as fit.
    """

    qa_prompt: str = TEXT_QA
    refine_prompt: str = REFINE
    is_compact: bool = True

    async def synthesize(self, model: ChatModel, question: str, texts: Sequence[str], ask: Ask) -> Completion:
        """See `Synthesizer.synthesize`."""
        first, *rest = packed(texts) if self.is_compact else (list(texts) or [""])
        usage = Usage()
        prompt, known = self.qa_prompt, {"context": first}
        for text in rest:
            told = await silently(model, _filled(prompt, question, **known))
            usage += told.usage
            prompt, known = self.refine_prompt, {"context": text, "existingAnswer": told.text}
        last = await ask(model, _filled(prompt, question, **known))
        return Completion(last.text, usage=usage + last.usage)


@dataclass(frozen=True, slots=True)
class Summarizing:
    """Answers from each part, then from the answers, until one is left; implements `Synthesizer`."""

    prompt: str = SUMMARY

    async def synthesize(self, model: ChatModel, question: str, texts: Sequence[str], ask: Ask) -> Completion:
        """See `Synthesizer.synthesize`."""
        parts, usage = packed(texts), Usage()
        while len(parts) > 1:
            told = [await silently(model, _filled(self.prompt, question, context=part)) for part in parts]
            usage = sum((one.usage for one in told), usage)
            shorter = packed([one.text for one in told])
            # Answers that are no shorter than what they sum up would go round for ever.
            parts = shorter if len(shorter) < len(parts) else [shorter[0]]
        last = await ask(model, _filled(self.prompt, question, context=parts[0]))
        return Completion(last.text, usage=usage + last.usage)


@dataclass(frozen=True, slots=True)
class Stuffing:
    """Answers once, from as much as fits; implements `Synthesizer`."""

    prompt: str = TEXT_QA

    async def synthesize(self, model: ChatModel, question: str, texts: Sequence[str], ask: Ask) -> Completion:
        """See `Synthesizer.synthesize`."""
        return await ask(model, _filled(self.prompt, question, context=packed(texts)[0]))


@dataclass(frozen=True, slots=True)
class QueryEngine:
    """Looks the question up and answers from what it finds; implements `Answerer`."""

    retriever: Retriever
    model: ChatModel
    synthesizer: Synthesizer = field(default_factory=Refining)

    async def answer(self, question: str, ask: Ask = silently) -> Answered:
        """See `Answerer.answer`."""
        documents = await self.retriever.retrieve(question)
        texts = [document.text for document in documents]
        told = await self.synthesizer.synthesize(self.model, question, texts, ask)
        return Answered(told.text, documents, told.usage)


@dataclass(frozen=True, slots=True)
class RetrievalChain:
    """Shows a model what a question finds, as its system message; implements `Answerer`."""

    retriever: Retriever
    model: ChatModel
    prompt: str  # with {context}

    async def answer(self, question: str, ask: Ask = silently) -> Answered:
        """See `Answerer.answer`."""
        return await self.answer_within((), question, question, ask)

    async def answer_within(self, past: Sequence[Message], question: str, query: str, ask: Ask) -> Answered:
        """The same within a conversation. `query` is what is looked for."""
        documents = distinct(await self.retriever.retrieve(query))
        system = Prompt((("system", self.prompt),), {"question": question}).fill(
            question, context=documents_text(documents)
        )
        told = await ask(self.model, [*system, *past, Message("user", question)])
        return Answered(told.text, documents, told.usage)


def packed(texts: Sequence[str]) -> list[str]:
    """Texts joined as far as they fit; at least one, which may be empty."""
    parts = [""]
    for text in texts:
        if parts[-1] and len(parts[-1]) + len(text) > FITS:
            parts.append("")
        parts[-1] = f"{parts[-1]}\n\n{text}" if parts[-1] else text
    return parts


def _filled(prompt: str, question: str, **known: str) -> list[Message]:
    return Prompt((("user", prompt),), {"query": question, "question": question}).fill(question, **known)
