"""Input fields that take no value for another's: a number is no text, and "true" is no boolean."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import orjson
from django.core.validators import RegexValidator
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from forjinn.core.jsontext import DEEPEST, LONGEST_SETTINGS, is_too_deep

REQUIRED = {"required": "required", "null": "must not be null", "blank": "must not be empty"}
KINDS = {dict: "an object", list: "an array", str: "text", bool: "a boolean", int: "a number", float: "a number"}

ONE_LINE = r"^[^\u0000-\u001f\u007f-\u009f]*[^\s\u0000-\u001f\u007f-\u009f][^\u0000-\u001f\u007f-\u009f]*$"


class TextField(serializers.CharField):
    """Text, kept to the byte; too long a one is told its length."""

    default_error_messages = {**REQUIRED}

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(trim_whitespace=False, **kwargs)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            raise serializers.ValidationError(f"expected text, got {KINDS.get(type(data), 'another type')}")
        if self.max_length is not None and len(data) > self.max_length:
            raise serializers.ValidationError(f"at most {self.max_length} characters, got {len(data)}")
        return data


class NameField(TextField):
    """What people call a thing: one line."""

    def __init__(self, **kwargs: Any) -> None:
        one_line = RegexValidator(ONE_LINE, "expected one line without control characters")
        super().__init__(validators=[one_line], **kwargs)


class OptionalTextField(TextField):
    """Text that may be left out; null and "" both unset it, which Python sees as ""."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, allow_null=True, allow_blank=True, **kwargs)

    def run_validation(self, data: Any = serializers.empty) -> str:
        return super().run_validation(data) or ""


@extend_schema_field({"type": "string", "contentMediaType": "application/json"})
class JsonTextField(OptionalTextField):
    """The JSON text of an object, as the editor stores its settings: every process keeps them in its memory."""

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        if len(text) > LONGEST_SETTINGS:
            raise serializers.ValidationError(f"at most {LONGEST_SETTINGS} characters, got {len(text)}")
        try:
            value = orjson.loads(text)
        except orjson.JSONDecodeError as exc:
            raise serializers.ValidationError(f"not valid JSON: {exc}") from exc
        if not isinstance(value, dict):
            raise serializers.ValidationError("expected JSON text of an object")
        if is_too_deep(value):
            raise serializers.ValidationError(f"nested deeper than {DEEPEST} levels")
        return text


class FlagField(serializers.BooleanField):
    """true or false."""

    default_error_messages = {**REQUIRED}

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            raise serializers.ValidationError(f"expected true or false, got {KINDS.get(type(data), 'another type')}")
        return data


class WholeNumberField(serializers.IntegerField):
    """A number without a fraction; "5" is none, 5.0 is one."""

    default_error_messages = {**REQUIRED}

    def to_internal_value(self, data: Any) -> int:
        is_whole = isinstance(data, int) or (isinstance(data, float) and data.is_integer())
        if not is_whole or isinstance(data, bool):
            raise serializers.ValidationError(f"expected a whole number, got {KINDS.get(type(data), 'another type')}")
        return int(data)


@extend_schema_field({"type": "string", "format": "uuid"})
class ReferenceField(TextField):
    """The id of another row, or null (or "") for none."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, allow_null=True, allow_blank=True, **kwargs)

    def run_validation(self, data: Any = serializers.empty) -> UUID | None:
        text = super().run_validation(data)
        try:
            return UUID(text) if text else None
        except ValueError:
            raise serializers.ValidationError("expected an id") from None
