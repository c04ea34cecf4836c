"""Cache nodes: models and embedding models that are not asked the same twice."""

from __future__ import annotations

from engine.caching import LASTS_S, Cache, CachedEmbedder
from engine.context import NodeContext
from engine.errors import NodeInputError
from engine.nodes import values
from engine.providers.base import Embedder
from engine.spec import Inputs, NodeResult, NodeSpec, NodeType, Param

HERE = (
    "It is kept in this server's own memory, for this flow alone, for an hour unless told otherwise: no other database "
    "and no credential is needed."
)
TTL_MS = Param("ttl", "number", "Time to Live (ms)", optional=True, help="How long answers are kept, in milliseconds.")
EMBEDDINGS = Param("embeddings", "Embeddings", "Embeddings", help="Whose vectors are kept.")
NAMESPACE = Param("namespace", "string", "Namespace", optional=True, help="Keeps vectors of different kinds apart.")


def _answers(name: str, label: str, kind: str, *params: Param) -> NodeSpec:
    return NodeSpec(
        name=name,
        label=label,
        version=1,
        category="Cache",
        base_classes=(kind, "BaseCache"),
        help=f"What a chat model answered to the same messages before. {HERE}",
        params=params,
        role="component",
    )


def _vectors(name: str, label: str, kind: str, *params: Param) -> NodeSpec:
    return NodeSpec(
        name=name,
        label=label,
        version=1,
        category="Cache",
        base_classes=(kind, "Embeddings"),
        help=f"What an embedding model made of the same texts before. {HERE}",
        params=(EMBEDDINGS, *params, NAMESPACE),
        role="component",
    )


ANSWERS = (
    _answers("inMemoryCache", "InMemory Cache", "InMemoryCache"),
    _answers("redisCache", "Redis Cache", "RedisCache", TTL_MS),
    _answers("upstashRedisCache", "Upstash Redis Cache", "UpstashRedisCache"),
    _answers("momentoCache", "Momento Cache", "MomentoCache"),
)
VECTORS = (
    _vectors("inMemoryEmbeddingCache", "InMemory Embedding Cache", "InMemoryEmbeddingCache"),
    _vectors(
        "redisEmbeddingsCache",
        "Redis Embeddings Cache",
        "RedisEmbeddingsCache",
        Param("ttl", "number", "Time to Live (s)", default=LASTS_S, optional=True, help="How long, in seconds."),
    ),
)


async def run_answers(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """Nothing is kept yet. Raises NodeInputError for a time that is none."""
    lasts_ms = _time(inputs, LASTS_S * 1000)
    return NodeResult(value=_cache(ctx, "answers", lasts_ms / 1000))


async def run_vectors(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """The embedding model, which is now shown each text once. Raises NodeInputError for a time that is none."""
    # mypy takes a protocol for no type that can be made, though all that is done here is isinstance.
    embedder = values.connected(inputs, "embeddings", Embedder, "An embedding cache needs embeddings")  # type: ignore[type-abstract]
    scope = f"vectors/{values.text(inputs, 'namespace')}"
    return NodeResult(value=CachedEmbedder(embedder, _cache(ctx, scope, _time(inputs, LASTS_S))))


def _cache(ctx: NodeContext, scope: str, lasts_s: float) -> Cache:
    world = ctx.world
    return Cache(world.kept, world.clock, f"{ctx.request.chatflow_id}/{scope}", lasts_s)


def _time(inputs: Inputs, usual: float) -> float:
    given = values.number(inputs, "ttl")
    if given is None:
        return usual
    if given <= 0:
        raise NodeInputError(f"A time to live must be more than nothing, not {given:g}.")
    return given


NODES = (*(NodeType(spec, run_answers) for spec in ANSWERS), *(NodeType(spec, run_vectors) for spec in VECTORS))
