"""One line an event: level, logger, message, then the fields of `extra` as key=value. Secrets are cut out."""

from __future__ import annotations

import logging
import re
from typing import Any

import orjson

STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}
SECRET_NAMES = re.compile(r"(?i)(password|secret|token$|authorization|api_?key$|pepper|cookie)")
SECRETS = (
    # In an address a key may follow an escaped character.
    (re.compile(r"(?:\b|(?<=%[0-9A-Fa-f]{2}))((?:fj-|pk-|sk-|cf_|pat_)[\w-]{4})[\w-]{12,}"), r"\1…"),
    (re.compile(r"(?i)(api_?key=)[^&\s\"']+"), r"\1…"),
    (re.compile(r"(?i)(bearer\s+)[^\s\"']+"), r"\1…"),
    (re.compile(r"(/api/webhooks/[\w-]{4})[\w-]+"), r"\1…"),
    (re.compile(r"(\w+://[^:/@\s]*:)[^@/\s]+@"), r"\1…@"),
)


class FieldsFormatter(logging.Formatter):
    """`WARNING predictions.web broker away attempt=3 error="connection refused"`, whatever the values hold."""

    def format(self, record: logging.LogRecord) -> str:
        parts = [record.levelname, record.name, record.getMessage().replace("\n", "\\n")]
        parts += [f"{name}={_shown(name, value)}" for name, value in vars(record).items() if name not in STANDARD]
        if record.exc_info:
            parts.append(f"traceback={_quoted(self.formatException(record.exc_info))}")
        return redact(" ".join(parts))


def redact(text: str) -> str:
    """The text with API keys, bearer tokens and passwords in URLs cut short."""
    for pattern, replacement in SECRETS:
        text = pattern.sub(replacement, text)
    return text


def _shown(name: str, value: Any) -> str:
    if SECRET_NAMES.search(name):
        return "…"
    text = str(value)
    return text if text and not re.search(r'[\s"=]', text) else _quoted(text)


def _quoted(text: str) -> str:
    return orjson.dumps(text.encode("utf-8", "replace").decode()).decode()
