"""Mails, sent behind the answer: no server for mail that is slow, or away, tells which addresses are known."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from smtplib import SMTPException

from django.conf import settings
from django.core.mail import EmailMessage, get_connection
from django.core.mail.backends.base import BaseEmailBackend

logger = logging.getLogger(__name__)
_senders = ThreadPoolExecutor(max_workers=2, thread_name_prefix="mail")  # a process that ends sends what it has first


class Backend(BaseEmailBackend):
    """Named by EMAIL_BACKEND; MAIL_TRANSPORT is what sends. What could not be sent stands in the log."""

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        _senders.submit(_send, list(email_messages))
        return len(email_messages)


def _send(messages: list[EmailMessage]) -> None:
    try:
        get_connection(settings.MAIL_TRANSPORT).send_messages(messages)
    except (SMTPException, OSError, ValueError) as exc:  # the last one is of addresses and headers that are none
        error = f"{type(exc).__name__}: {exc}"
        logger.warning("mail not sent", extra={"to": [message.to for message in messages], "error": error})
