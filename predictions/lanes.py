"""Queued runs on a Redis broker: a list a workspace (its lane), and a ring in which lanes wait for their turn.

    predictions:ring              the workspaces with something in their lane, whoever has waited longest first
    predictions:lane:<workspace>  ids of runs, newest first
    predictions:bell              a token while something waits: workers with room for anything block on it
    predictions:bell:entry        one for each lane that enters the ring: for workers that must pass lanes over
    predictions                   Celery's own messages: what Celery or a web process of an older release sent

Scripts keep them in step (docs/adr/0015-lanes.md). They name lanes by what they read, so a Redis Cluster will not do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, NamedTuple, cast
from uuid import UUID

from redis.asyncio import Redis

QUEUE = "predictions"
SHARE = 7  # a lane may hold at most so many places of a worker for each that is still free

RING = """
local function ring_bell(bell)
    if redis.call('LLEN', bell) == 0 then redis.call('LPUSH', bell, 1) end
end
"""
PUT = f"""{RING}
local ring, bell, entry, queue = unpack(KEYS)
local has_entered = false
for i = 1, #ARGV, 2 do
    if redis.call('LPUSH', queue .. ':lane:' .. ARGV[i], ARGV[i + 1]) == 1 then
        redis.call('RPUSH', ring, ARGV[i])
        has_entered = true
    end
end
if has_entered then
    ring_bell(bell)
    ring_bell(entry)
end
"""
# One a lane and turn. A lane over its share keeps its place in the ring, and is passed over.
TAKE = f"""{RING}
local ring, bell, entry, queue = unpack(KEYS)
local most, free, share = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local held = {{}}
for i = 4, #ARGV, 2 do held[ARGV[i]] = tonumber(ARGV[i + 1]) end
local taken = {{0}}
local count, passed = 0, 0
local function take(lane, message)
    taken[#taken + 1] = lane
    taken[#taken + 1] = message
    count = count + 1
    free = free - 1
end
local old = redis.call('RPOP', queue)
if old then take('', old) end
while count < most and passed < redis.call('LLEN', ring) do
    local lane = redis.call('LPOP', ring)
    local key = queue .. ':lane:' .. lane
    local has = held[lane] or 0
    if has < share * free then
        local run = redis.call('RPOP', key)
        if run then take(lane, run) end
        held[lane] = has + 1
        passed = 0
    else
        passed = passed + 1
    end
    if redis.call('EXISTS', key) == 1 then redis.call('RPUSH', ring, lane) end
end
while count < most and redis.call('EXISTS', queue) == 1 do take('', redis.call('RPOP', queue)) end
if redis.call('EXISTS', ring, queue) == 0 then
    redis.call('DEL', bell, entry)
else
    ring_bell(bell)
    taken[1] = count < most and 2 or 1
end
return taken
"""
FRONTS = """
local fronts = {redis.call('LINDEX', KEYS[2], -1)}
for _, lane in ipairs(redis.call('LRANGE', KEYS[1], 0, -1)) do
    local run = redis.call('LINDEX', KEYS[2] .. ':lane:' .. lane, -1)
    if run then
        fronts[#fronts + 1] = lane
        fronts[#fronts + 1] = run
    end
end
return fronts
"""


class QueuedRun(NamedTuple):
    """A run that waits for a worker, and whose it is."""

    id: UUID
    workspace_id: UUID


class Left(IntEnum):
    """What a worker left behind when it took."""

    NOTHING = 0
    MORE = 1
    OTHERS_SHARE = 2  # of lanes that hold their share of this worker, and of no other


@dataclass(frozen=True, slots=True)
class Taken:
    """Messages and their lanes, in the order of their turns. A lane holds ids; the lane "" is Celery's own queue."""

    messages: Sequence[tuple[str, bytes]] = ()
    left: Left = Left.NOTHING


@dataclass(frozen=True, slots=True)
class Wish:
    """What a worker can take: at most `most`, with `free` places left, and `held` of them by lane."""

    most: int
    free: int
    held: Mapping[str, int]

    def arguments(self) -> list[str | int]:
        """As the script reads them, with the lanes alone that could come to their share."""
        sure = SHARE * (self.free - self.most) - self.most
        near = [part for lane, count in self.held.items() if count >= sure for part in (lane, count)]
        return [self.most, self.free, SHARE, *near]


async def put(redis: Redis, runs: Sequence[QueuedRun]) -> None:
    """Each at the end of its workspace's lane."""
    parts = [str(part) for run in runs for part in (run.workspace_id, run.id)]
    await redis.execute_command("EVAL", PUT, 4, *_keys(), *parts)


async def take(redis: Redis, wish: Wish) -> Taken:
    """What may be taken now."""
    return _read(await redis.execute_command("EVAL", TAKE, 4, *_keys(), *wish.arguments()))


async def wait_and_take(redis: Redis, wish: Wish, *, for_s: float) -> Taken:
    """What may be taken as soon as something waits, at the latest after a time. On a connection of one's own."""
    # Both are sent at once: Redis answers the second when the first has come, without a further journey.
    pipeline = redis.pipeline(transaction=False)
    pipeline.execute_command("BRPOP", _keys()[1], for_s)
    pipeline.execute_command("EVAL", TAKE, 4, *_keys(), *wish.arguments())
    _, found = await pipeline.execute()
    return _read(found)


async def wait_for_entry(redis: Redis, *, for_s: float) -> None:
    """Until a lane enters the ring, at most for a time. On a connection of one's own."""
    await redis.execute_command("BRPOP", _keys()[2], for_s)


async def fronts(redis: Redis) -> tuple[bytes | None, Mapping[UUID, UUID]]:
    """What is taken next: the message of Celery's own queue, and the run of each lane."""
    old, *pairs = await redis.execute_command("EVAL", FRONTS, 2, _keys()[0], QUEUE)
    lanes = zip(pairs[::2], pairs[1::2], strict=True)
    return old, {UUID(lane.decode()): UUID(run.decode()) for lane, run in lanes}


def _keys() -> tuple[str, str, str, str]:
    return f"{QUEUE}:ring", f"{QUEUE}:bell", f"{QUEUE}:bell:entry", QUEUE


def _read(found: Any) -> Taken:
    left, *parts = cast("list[Any]", found)
    lanes = (lane.decode() for lane in parts[::2])
    return Taken(list(zip(lanes, parts[1::2], strict=True)), Left(left))
