"""What the engine borrows from its host: the machine's clock, and the secrets and variables of one workspace."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from uuid import UUID

from asgiref.sync import sync_to_async
from django.conf import settings
from yarl import URL

from engine.credentials import Secret
from engine.egress import Egress
from engine.errors import NodeInputError
from engine.http import HttpClient
from forjinn.core.errors import AppError
from workspaces.services import NONE_GIVEN, open_credential


def open_http(model_url: str = "") -> HttpClient:
    """The client for what flows call: public hosts, what the administrator allows, the models at MODEL_URL and here."""
    models = [URL(url) for url in (settings.MODEL_URL, model_url)]
    hosts = [f"{url.host_subcomponent}:{url.port}" for url in models if url.host]
    return HttpClient(Egress([*settings.EGRESS_ALLOW, *hosts]))


class SystemClock:
    """Time as the machine has it."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class WorkspaceCredentials:
    """Secrets of one workspace, and of no other; beside them those that the run's caller brought, sealed, by slug.

    `opened` hears of each that is used.
    """

    def __init__(
        self,
        workspace_id: UUID,
        given: Mapping[str, str] = NONE_GIVEN,
        opened: Callable[[Secret], None] = lambda secret: None,
    ) -> None:
        self._workspace_id = workspace_id
        self._given = given
        self._opened = opened

    async def resolve(self, credential_id: str) -> Secret:
        """See `engine.context.Credentials`."""
        try:
            secret = await sync_to_async(open_credential)(
                workspace_id=self._workspace_id, credential_id=credential_id, given=self._given
            )
        except AppError as exc:
            raise NodeInputError(exc.message) from exc
        self._opened(secret)
        return secret
