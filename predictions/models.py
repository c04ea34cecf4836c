"""A run and what it leaves behind: executions, node runs, chat messages, and the workers that hold runs."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now

from chatflows.models import Chatflow, ChatflowVersion
from forjinn.core.ids import uuid7
from forjinn.core.models import WorkspaceScoped

LONGEST_SPEAKER = 260  # characters


class Execution(WorkspaceScoped):
    """One run of one version of a chatflow. The row is the truth; the broker and the event stream are speed.

    `attempt` fences: every write of a run names the attempt it belongs to, so a worker that was taken for dead and
    comes back changes nothing.
    """

    class State(models.TextChoices):
        QUEUED = "QUEUED"
        RUNNING = "RUNNING"
        WAITING = "WAITING"
        COMPLETED = "COMPLETED"
        FAILED = "FAILED"
        CANCELLED = "CANCELLED"

    class Contents(models.TextChoices):
        """Whether what was asked and said is here. A trigger says so when the run is recorded, by its flow's rule."""

        KEPT = "kept"
        PASSING = "passing"  # until the run has ended
        GONE = "gone"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    # The run's name in 24 hexadecimal digits, if an API began it that calls runs so.
    object_id = models.CharField(max_length=24, null=True)
    chatflow = models.ForeignKey(Chatflow, on_delete=models.CASCADE, db_index=False)
    version = models.ForeignKey(ChatflowVersion, on_delete=models.CASCADE, db_index=False)
    state = models.CharField(max_length=10, choices=State, default=State.QUEUED)
    chat_id = models.CharField(max_length=255)
    session_id = models.CharField(max_length=255)
    end_user = models.CharField(max_length=LONGEST_SPEAKER, default="", db_default="")  # see `predictions.speakers`
    chat_type = models.CharField(max_length=12, default="EXTERNAL")
    question = models.TextField()
    request = models.JSONField(default=dict)  # the rest of what was asked: form, history, uploads, leadEmail
    is_streaming = models.BooleanField(default=False)
    reply_to = models.CharField(max_length=64, default="")  # channel of the web process whose caller waits

    attempt = models.SmallIntegerField(default=0)
    attempts_before = models.SmallIntegerField(db_default=0)  # those before a person's answer let it go on
    worker = models.BigIntegerField(null=True)  # WorkerLease that runs it; no foreign key: leases come and go
    dispatches = models.SmallIntegerField(default=1)
    stop_requested = models.BooleanField(default=False)
    pause_requested = models.BooleanField(db_default=False)
    deadline_at = models.DateTimeField(null=True)  # of the whole run, however often it waits
    forked_from = models.UUIDField(
        null=True
    )  # the run whose journal it began with; no foreign key: that may be deleted

    created_at = models.DateTimeField(db_default=Now())
    dispatched_at = models.DateTimeField(db_default=Now())
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)  # or when it began to wait

    # JSON text of a `Checkpoint`, while the run waits or may be tried again. Not jsonb: that forgets the order of keys,
    # and what templates print must not depend on a pause.
    checkpoint = models.TextField(null=True)
    flow_state = models.JSONField(null=True)  # {state, form}: what the session's next run may begin with
    output = models.JSONField(null=True)  # the answer's body, as the caller got it
    error = models.TextField(default="")
    error_code = models.CharField(max_length=40, default="")
    contents = models.CharField(max_length=8, choices=Contents, default=Contents.KEPT, db_default=Contents.KEPT)
    input_tokens = models.IntegerField(default=0)
    output_tokens = models.IntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["object_id"], name="execution_object_id_once", condition=models.Q(object_id__isnull=False)
            )
        ]
        indexes = [
            # Those with a name of 24 digits: a page of them, and how many there are in a state, come from these alone.
            models.Index(
                fields=["workspace", "-id"],
                include=["state"],
                name="named_execution_by_workspace",
                condition=models.Q(object_id__isnull=False),
            ),
            models.Index(
                fields=["chatflow", "-id"],
                include=["state"],
                name="named_execution_by_flow",
                condition=models.Q(object_id__isnull=False),
            ),
            models.Index(fields=["chatflow", "-id"], name="execution_by_flow"),
            models.Index(fields=["workspace", "-id"], name="execution_by_workspace"),
            models.Index(fields=["chatflow", "session_id", "-id"], name="execution_by_session"),
            # Those of end users whom pages have named: who they are, and what each of them left.
            models.Index(
                fields=["workspace", "end_user", "id"],
                name="execution_by_end_user",
                condition=models.Q(end_user__startswith="user:"),
            ),
            # What the stop call looks through.
            models.Index(fields=["chatflow", "chat_id"], name="execution_waiting", condition=models.Q(state="WAITING")),
            # Those that no worker has and that may be late.
            models.Index(
                fields=["deadline_at"],
                name="execution_by_deadline",
                condition=models.Q(deadline_at__isnull=False, state__in=["QUEUED", "WAITING"]),
            ),
            # Those whose contents are to go.
            models.Index(fields=["finished_at"], name="execution_passing", condition=models.Q(contents="passing")),
            # The few that are open, however many have ended: what the reaper and the stop call look through.
            models.Index(
                fields=["state", "dispatched_at"],
                name="execution_open",
                condition=models.Q(state__in=["QUEUED", "RUNNING"]),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.id} {self.state}"


class NodeRun(models.Model):
    """One execution of a node within a run, in the order in which results were committed."""

    id = models.BigAutoField(primary_key=True)
    execution = models.ForeignKey(Execution, on_delete=models.CASCADE, db_index=False, related_name="node_runs")
    attempt = models.SmallIntegerField()
    seq = models.IntegerField()
    node_id = models.CharField(max_length=255)
    label = models.CharField(max_length=255)
    status = models.CharField(max_length=12)
    entry = models.JSONField()  # nodeId, nodeLabel, data, previousNodeIds, status: as the trace shows it
    # JSON text that `engine.journal.fold` reads; null for nodes behind which a run does not go on (in an iteration).
    changes = models.TextField(null=True)
    duration_ms = models.FloatField()
    created_at = models.DateTimeField(db_default=Now())  # when it was written down, with others or alone

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["execution", "attempt", "seq"], name="node_run_once"),
        ]

    def __str__(self) -> str:
        return f"{self.node_id} {self.status}"


class Wait(WorkspaceScoped):
    """What a run is waiting for, while its state is WAITING. It stays until the run has ended or waits anew."""

    class Kind(models.TextChoices):
        HUMAN = "human"  # a decision
        MESSAGE = "message"  # the user's next message
        EVENT = "event"
        TIMER = "timer"
        ORDER = "order"  # to go on

    execution = models.OneToOneField(Execution, on_delete=models.CASCADE, primary_key=True)
    kind = models.CharField(max_length=10, choices=Kind)
    event = models.CharField(max_length=255, default="")
    due_at = models.DateTimeField()  # when it has waited long enough
    goes_on = models.BooleanField()  # then; else it ends: nobody answered
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [
            models.Index(fields=["due_at"], name="wait_due"),
            models.Index(fields=["workspace", "event"], name="wait_for_event", condition=models.Q(kind="event")),
        ]

    def __str__(self) -> str:
        return f"{self.execution_id} waits for {self.event or self.kind}"


class IdempotencyKey(models.Model):
    """A request that counts once; see `predictions.idempotency`. Its scope holds the workspace, so it needs none."""

    id = models.BigAutoField(primary_key=True)
    scope = models.CharField(max_length=64)
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64)
    execution = models.ForeignKey(Execution, on_delete=models.CASCADE)
    attempt = models.SmallIntegerField()  # those before the request
    answer = models.JSONField(null=True)  # of a request that resumed several runs: their ids
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["scope", "key"], name="idempotency_key_once")]
        indexes = [models.Index(fields=["created_at"], name="idempotency_key_by_age")]

    def __str__(self) -> str:
        return f"{self.key} of {self.execution_id}"


class ChatMessage(WorkspaceScoped):
    """One turn of a conversation. Memory reads these by (chatflow, session), never by session alone."""

    class Role(models.TextChoices):
        USER = "userMessage"
        API = "apiMessage"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    chatflow = models.ForeignKey(Chatflow, on_delete=models.CASCADE, db_index=False)
    execution = models.ForeignKey(Execution, on_delete=models.SET_NULL, null=True)
    role = models.CharField(max_length=12, choices=Role)
    content = models.TextField()
    chat_id = models.CharField(max_length=255)
    session_id = models.CharField(max_length=255)
    end_user = models.CharField(max_length=LONGEST_SPEAKER, default="", db_default="")
    chat_type = models.CharField(max_length=12)
    memory_type = models.CharField(max_length=255, default="")
    lead_email = models.CharField(max_length=254, default="")
    error = models.TextField(default="")  # why there is no answer; memory skips such turns
    extra = models.JSONField(default=dict)  # usedTools, sourceDocuments, fileUploads ... as on the wire
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [
            models.Index(fields=["chatflow", "session_id", "-id"], name="message_by_session"),
            # By date: one by id would tempt the planner to read memory from it, past all other sessions of the flow.
            models.Index(fields=["chatflow", "-created_at", "-id"], name="message_by_flow"),
            models.Index(
                fields=["workspace", "end_user", "id"],
                name="message_by_end_user",
                condition=models.Q(end_user__startswith="user:"),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.role} {self.id}"


class WorkerLease(models.Model):
    """A worker process that may hold runs. Its id is also the key of the advisory lock that it holds while it lives."""

    id = models.BigAutoField(primary_key=True)
    name = models.CharField(max_length=255)  # host and process id, for people
    started_at = models.DateTimeField(db_default=Now())
    beat_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"{self.name} #{self.id}"
