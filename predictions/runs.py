"""Running what was claimed: the engine between the database and the event stream, on the worker's one loop."""

from __future__ import annotations

import logging
import random
from collections import OrderedDict
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

import orjson
from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import DatabaseError
from redis.asyncio import Redis

from chatflows.documents.knowledge import WorkspaceDocuments
from chatflows.records import afind_flow
from chatflows.tools import StoredTools
from engine.context import CalledFlow, PreviousRun, RunRequest, Sandbox, World
from engine.errors import EngineError, NodeInputError
from engine.events import Event, NodeJournalled
from engine.flow import Flow, parse_flow
from engine.http import HttpClient
from engine.kept import Kept
from engine.overrides import Overrides, apply_overrides, with_overrides
from engine.providers.base import Message
from engine.registry import Registry
from engine.runner import Commands, Limits, Resume, run_flow
from engine.vectors import Shelf
from forjinn.core.scopes import tenant
from predictions.checkpoints import Checkpoint
from predictions.commands import TO_PAUSE
from predictions.continuing import Continuation, Shown
from predictions.pool import DatabaseAway, patiently
from predictions.post_processing import post_processed
from predictions.recorder import INTERNAL, Recorder
from predictions.redaction import Redactor
from predictions.reservations import Payer, payer_of, release
from predictions.spending import Counters, RunAccount
from predictions.store import ClaimedRun, JournalledNode, Outcome, Step, Store
from predictions.stream import EventPublisher, RunLog
from predictions.vectors import WorkspaceRecords, WorkspaceVectors
from workspaces.databases import ReadOnlyDatabases
from workspaces.limits.budgets import Spent
from workspaces.services import variable_values
from workspaces.world import SystemClock, WorkspaceCredentials

logger = logging.getLogger(__name__)

CACHED_FLOWS = 512
SETTLE_PATIENCE_S = 60.0  # a run whose answer is known waits this long for PostgreSQL to come back
CLAIM_PATIENCE_S = 5.0  # an unclaimed run is found again by the reaper
NOTHING = Overrides()


class CannotGoOn(EngineError):
    """What the run was when it paused means nothing here."""

    code = "cannot_go_on"


class DeadlinePassed(EngineError):
    """The time that the run had for all of its parts is over."""

    code = "deadline"


class TakenOver(Exception):
    """The run belongs to another worker by now: nothing more of it is to be written here."""


class StoredHistory:
    """The conversation of one run's (flow, session), as its memory nodes read it."""

    def __init__(self, store: Store, run: ClaimedRun) -> None:
        self._store = store
        self._run = run

    async def load(self, *, last: int | None = None, session_id: str | None = None) -> Sequence[Message]:
        if session_id is None and self._run.request.get("newChat") and not self._run.attempts_before:
            return ()
        most = settings.MEMORY_MAX_MESSAGES
        wanted = most if last is None else min(last, most)
        return await self._store.history(self._run, session_id or self._run.session_id, last=wanted)


class Flows:
    """Parsed flows by version, so that a hot prediction parses nothing. Versions never change."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._flows: OrderedDict[UUID, Flow] = OrderedDict()

    async def get(self, version_id: UUID) -> Flow:
        """Raises FlowError if the graph cannot be read."""
        if version_id in self._flows:
            self._flows.move_to_end(version_id)
            return self._flows[version_id]
        flow = parse_flow(await self._store.flow_data(version_id))
        self._flows[version_id] = flow
        if len(self._flows) > CACHED_FLOWS:
            self._flows.popitem(last=False)
        return flow


class RunHost:
    """The runs of one worker process."""

    def __init__(
        self,
        *,
        store: Store,
        publisher: EventPublisher,
        http: HttpClient,
        sandbox: Sandbox,
        registry: Registry,
        redis: Redis,
    ) -> None:
        self._redis = redis
        self._store = store
        self._publisher = publisher
        self._http = http
        self._sandbox = sandbox
        self._registry = registry
        self._flows = Flows(store)
        self._clock = SystemClock()
        self._shelf = Shelf()
        self._kept = Kept()
        self._databases = ReadOnlyDatabases(http.egress)
        self._running: dict[UUID, Commands] = {}
        self._redactors: dict[UUID, Redactor] = {}  # of the runs that live here

    @property
    def active(self) -> int:
        return len(self._running)

    @property
    def ids(self) -> list[UUID]:
        return list(self._running)

    def obey(self, order: str, execution_id: UUID) -> None:
        """Give a run that lives here an order; of others nothing is known."""
        if commands := self._running.get(execution_id):
            (commands.pause if order == TO_PAUSE else commands.stop)()

    async def execute(self, execution_id: UUID) -> None:
        """Claim a run, run it and settle it. Safe to be told twice: only one claim succeeds."""
        try:
            run = await patiently(lambda: self._store.claim(execution_id), for_s=CLAIM_PATIENCE_S)
        except DatabaseAway:
            logger.warning("run left for later: the database is away", extra={"execution_id": execution_id})
            return
        if run is None:
            return
        commands = self._running[run.id] = Commands()
        self._redactors[run.id] = Redactor()
        if run.stop_requested:
            commands.stop()
        if run.pause_requested:
            commands.pause()
        try:
            # Whatever the run reads by the ORM, in whichever thread, it reads as its own workspace.
            with tenant(run.workspace_id):
                await self._run(run, commands)
        finally:
            del self._running[run.id], self._redactors[run.id]

    async def _run(self, run: ClaimedRun, commands: Commands) -> None:
        log = self._publisher.open(run)
        recorder, account, redactor = Recorder(run), self._account(run), self._redactors[run.id]
        try:
            checkpoint = checkpoint_of(run)
            recorder = Recorder(run, checkpoint)
            behind = await self._store.journalled(run) if run.is_restarted else []
            recorder = Recorder(run, checkpoint, behind)
            await self._begin(run, log, behind)
            flow = await self._flows.get(run.version_id)
            overrides = self._overrides(run, flow)
            recorder.warn(overrides.warnings)
            world = replace(await self._world(run, flow, overrides.variables), account=account)
            flow = with_overrides(flow, overrides)
            limits = Limits(wall_s=wall_s(run), tokens=settings.PREDICTION_MAX_TOKENS)
            resume = resume_of(run, behind)
            events = begun(flow, run_request(run), world, self._registry, limits, commands, resume)
            async for told in events:
                event = redactor.event(told)
                recorder.observe(event)
                if isinstance(event, NodeJournalled) and event.is_dear:
                    await self._keep(recorder.step())
                log.append(event)
            await self._post_process(run, recorder, world)
        except TakenOver:
            logger.warning("run was taken over; it ends here", extra={"execution_id": run.id})
            return
        except EngineError as exc:
            recorder.fail(redactor.text(exc.message), exc.code)
        except (DatabaseAway, LookupError) as exc:
            recorder.fail("The run lost its database and ended without an answer", "database_away")
            logger.warning("run failed", extra={"execution_id": run.id, "error": str(exc)})
        except Exception:
            # The task is the border where nothing may be lost: whatever broke, the caller gets an end.
            logger.exception("run crashed", extra={"execution_id": run.id, "workspace_id": run.workspace_id})
            recorder.fail(INTERNAL, "internal")
        await self._end(run, recorder, log, account.spent)

    def _account(self, run: ClaimedRun) -> RunAccount:
        payer, counters = payer_of_run(run), Counters(self._redis, self._store.pool, run.workspace_id)
        return RunAccount(counters, workspace_id=payer.workspace_id, flow_id=payer.flow_id, key_id=payer.key_id)

    async def _end(self, run: ClaimedRun, recorder: Recorder, log: RunLog, spent: Spent) -> None:
        """Write down how it ended, then say so."""
        try:
            outcome = recorder.outcome(spent)
            is_settled = await self._settle(outcome)
        except Exception:
            # Something in it that no row can hold. Without that it still has an end, and its caller an answer.
            logger.exception("outcome cannot be written", extra={"execution_id": run.id})
            outcome = recorder.bare_outcome(spent)
            is_settled = await self._settle(outcome)
        await release(self._redis, payer_of_run(run), run.id)
        if is_settled:
            await log.close(settled_event(outcome))

    async def _begin(self, run: ClaimedRun, log: RunLog, behind: Sequence[JournalledNode]) -> None:
        """Say what is behind the run."""
        before = run.checkpoint.done if run.checkpoint else []
        if run.is_restarted:
            shown = Shown(await self._publisher.written(run), first_attempt=run.attempts_before + 1)
            going_on = Continuation(shown, [node.entry for node in behind], before)
            log.continue_with(going_on.opening, going_on.fresh)
        elif run.checkpoint:
            log.begin_again(before)

    async def _keep(self, step: Step) -> None:
        """Write down what was done, before anybody hears of it. Raises TakenOver, DatabaseAway."""
        if not await patiently(lambda: self._store.journal(step), for_s=SETTLE_PATIENCE_S):
            raise TakenOver

    async def _post_process(self, run: ClaimedRun, recorder: Recorder, world: World) -> None:
        code = run.request.get("lastWord")
        if not code or recorder.answer is None:
            return
        if "$vars" in code and not world.variables:
            try:
                world = replace(world, variables=await sync_to_async(variable_values)(run.workspace_id))
            except DatabaseError as exc:
                logger.warning("post-processing left out", extra={"execution_id": run.id, "error": str(exc)})
                return
        if (text := await post_processed(code, recorder.answer, run, world)) is not None:
            recorder.rewrite(text)

    async def _settle(self, outcome: Outcome) -> bool:
        try:
            settled = await patiently(lambda: self._store.settle(outcome), for_s=SETTLE_PATIENCE_S)
        except DatabaseAway:
            logger.error("answer lost: the database stayed away", extra={"execution_id": outcome.id})
            return False
        if not settled:
            logger.warning("run was taken over; its answer is dropped", extra={"execution_id": outcome.id})
        return settled

    def _overrides(self, run: ClaimedRun, flow: Flow) -> Overrides:
        asked = run.request.get("override")
        if not asked:
            return NOTHING
        rules = {"overrideConfig": run.request.get("overrideRules")}
        return apply_overrides(flow, asked, rules, self._registry, opened=settings.OVERRIDABLE_FIELDS)

    async def _previous(self, run: ClaimedRun) -> PreviousRun | None:
        """What the session's last run left."""
        left = await self._store.previous(run)
        return PreviousRun(left["state"], left["form"]) if left else None

    async def _world(self, run: ClaimedRun, flow: Flow, given: Mapping[str, str]) -> World:
        stored = await sync_to_async(variable_values)(run.workspace_id) if flow.uses_variables else {}
        return World(
            http=self._http,
            history=StoredHistory(self._store, run),
            # The run's own, also for flows that it calls: they come by here as the run.
            credentials=WorkspaceCredentials(
                run.workspace_id, run.request.get("connections") or {}, self._redactors[run.id].learn
            ),
            clock=self._clock,
            random=random.Random(),  # noqa: S311 -- jitter and sampling, no secrets
            variables={**stored, **given},
            flows=Neighbours(self, run),
            tools=StoredTools(run.workspace_id),
            documents=WorkspaceDocuments(run.workspace_id),
            sandbox=self._sandbox,
            previous=lambda: self._previous(run),
            vectors=WorkspaceVectors(self._store.pool, run.workspace_id),
            records=WorkspaceRecords(self._store.pool, run.workspace_id),
            shelf=self._shelf,
            kept=self._kept,
            databases=self._databases,
        )

    async def neighbour(self, run: ClaimedRun, flow_id: str) -> CalledFlow:
        """See `engine.context.FlowSource.load`. A flow of another workspace is not there."""
        record = await afind_flow(UUID(flow_id)) if _is_id(flow_id) else None
        if record is None or record.workspace_id != run.workspace_id:
            raise NodeInputError(f"There is no flow {flow_id!r} in this workspace: choose another one.")
        flow = await self._flows.get(record.version_id)
        inner = replace(run, chatflow_id=record.id, version_id=record.version_id)
        world = await self._world(inner, flow, {})
        return CalledFlow(str(record.id), record.name, str(record.version_id), flow, world)


class Neighbours:
    """The flows beside one run's own, for flows that call flows; implements `FlowSource`."""

    def __init__(self, host: RunHost, run: ClaimedRun) -> None:
        self._host = host
        self._run = run

    async def load(self, flow_id: str) -> CalledFlow:
        """See `FlowSource.load`."""
        return await self._host.neighbour(self._run, flow_id)


def payer_of_run(run: ClaimedRun) -> Payer:
    return payer_of(run.workspace_id, run.chatflow_id, run.request)


def _is_id(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def run_request(run: ClaimedRun) -> RunRequest:
    """What the engine is asked, from what the caller sent."""
    request = run.request
    return RunRequest(
        question=request.get("attachment", "") + run.question,
        attachment=request.get("attachment", ""),
        chat_id=run.chat_id,
        session_id=run.session_id,
        chatflow_id=str(run.chatflow_id),
        form=dict(request.get("form") or ()),
        state=request.get("state") or {},
        history=tuple(
            Message(role="user" if turn["role"] == "userMessage" else "assistant", content=turn["content"])
            for turn in request.get("history") or ()
        ),
        images=tuple(request.get("images") or ()),
        webhook=orjson.loads(request.get("webhook") or "{}"),
        is_streaming=run.is_streaming,
    )


def begun(
    flow: Flow,
    request: RunRequest,
    world: World,
    registry: Registry,
    limits: Limits,
    commands: Commands,
    resume: Resume | None,
) -> AsyncGenerator[Event, None]:
    """The run's events to come. Raises CannotGoOn for a checkpoint that this version cannot read."""
    try:
        return run_flow(
            flow, request, world, registry=registry, limits=limits, commands=commands, resume=resume, is_journalled=True
        )
    except (ValueError, LookupError) as exc:
        if resume is None:
            raise
        raise CannotGoOn(f"The run cannot go on after its pause: {exc} Ask again from the beginning.") from exc


def wall_s(run: ClaimedRun) -> float:
    """How long this part of the run may take. Raises DeadlinePassed if nothing is left of its time."""
    longest_s = float(settings.PREDICTION_TIMEOUT_S)
    if run.left_s is None:
        return longest_s
    if run.left_s <= 0:
        raise DeadlinePassed("The run passed its deadline before a worker could go on with it")
    return min(longest_s, run.left_s)


def checkpoint_of(run: ClaimedRun) -> Checkpoint | None:
    """Where it goes on. Raises CannotGoOn for what another version of this server may have written."""
    try:
        return run.checkpoint
    except (TypeError, ValueError) as exc:
        raise CannotGoOn("What the run knew before its pause cannot be read. Ask again from the beginning.") from exc


def resume_of(run: ClaimedRun, behind: Sequence[JournalledNode]) -> Resume | None:
    """Where the run goes on; None if it begins."""
    changes = [orjson.loads(node.changes) for node in behind if node.changes is not None]
    if checkpoint := run.checkpoint:
        return Resume(checkpoint.snapshot, human_answer(run, checkpoint), changes)
    return Resume(None, changes=changes) if changes else None


def human_answer(run: ClaimedRun, checkpoint: Checkpoint) -> Mapping[str, Any]:
    """What was said to the node that waits, or reported to it: its type, and `feedback` or `data`."""
    return {**run.request["humanInput"], "startNodeId": checkpoint.node_id}


def settled_event(outcome: Outcome) -> dict[str, Any]:
    """The last event of the run's log."""
    return {
        "state": outcome.state,
        "output": outcome.output,
        "error": outcome.error,
        "error_code": outcome.error_code,
    }
