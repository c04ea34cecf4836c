"""The wire's spelling of limits."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from forjinn.core.fields import KINDS, REQUIRED, WholeNumberField
from forjinn.core.times import iso_millis
from predictions.allowances.services import Allowance, Allowances, Changes, Given
from workspaces.limits.budgets import next_month
from workspaces.limits.models import Limit
from workspaces.limits.records import Bounds

MOST = 2_147_483_647
MOST_TOKENS = 1_000_000_000_000_000
MOST_USD = 1_000_000_000
MOST_TARGETS = 1000  # in one call
COLUMNS = {
    "callsPerMinute": "calls_a_minute",
    "runsAtOnce": "runs_at_once",
    "tokensPerMonth": "tokens_a_month",
    "usdPerMonth": "usd_a_month",
}
SECTIONS = {
    "workspace": Limit.Kind.WORKSPACE,
    "eachKey": Limit.Kind.KEY,
    "eachFlow": Limit.Kind.FLOW,
    "eachAddress": Limit.Kind.ADDRESS,
}


@extend_schema_field({"type": "number", "minimum": 0, "maximum": MOST_USD})
class UsdField(serializers.Field[Decimal, Any, float, Any]):
    """US dollars, with cents."""

    default_error_messages = {**REQUIRED}

    def to_internal_value(self, data: Any) -> Decimal:
        if not isinstance(data, int | float) or isinstance(data, bool):
            raise serializers.ValidationError(f"expected a number, got {KINDS.get(type(data), 'another type')}")
        if not 0 <= data <= MOST_USD:
            raise serializers.ValidationError(f"expected 0 to {MOST_USD}, got {data}")
        return round(Decimal(str(data)), 2)

    def to_representation(self, value: Decimal) -> float:
        return float(value)


def _number(most: int, least: int, help_text: str) -> WholeNumberField:
    return WholeNumberField(required=False, allow_null=True, min_value=least, max_value=most, help_text=help_text)


class CallsSerializer(serializers.Serializer[Bounds]):
    """How often strangers may call."""

    callsPerMinute = _number(MOST, 1, "null: no limit; in a request: as the server's settings say.")


class BoundsSerializer(CallsSerializer):
    """What may be used; null is no limit, and in a request what the server's settings say."""

    runsAtOnce = _number(MOST, 1, "Runs that are queued or going on.")
    tokensPerMonth = _number(MOST_TOKENS, 0, "Tokens that chat models read and write in a calendar month (UTC).")
    usdPerMonth = UsdField(
        required=False, allow_null=True, help_text="What they cost in it, by their vendors' published prices."
    )


class TargetBoundsSerializer(BoundsSerializer):
    """What one key or one flow may use."""

    id = serializers.UUIDField(error_messages={**REQUIRED, "invalid": "expected an id"})


class SpentSerializer(serializers.Serializer[Any]):
    """Tokens and US dollars; null: there is no such budget."""

    tokens = serializers.IntegerField(allow_null=True)
    usd = serializers.FloatField(allow_null=True)


class AllowanceSerializer(BoundsSerializer):
    """What may be used, what was used this month by runs that have ended or wait, and what is left."""

    used = SpentSerializer()
    left = SpentSerializer()


class TargetAllowanceSerializer(AllowanceSerializer):
    """The same of one key or one flow."""

    id = serializers.UUIDField()


class AllowancesSerializer(serializers.Serializer[Allowances]):
    """What holds in a workspace. `keys` and `flows` are those with limits of their own, or that have cost something."""

    resetsDate = serializers.DateTimeField(help_text="When budgets begin anew.")
    workspace = AllowanceSerializer()
    eachKey = BoundsSerializer()
    eachFlow = BoundsSerializer()
    eachAddress = CallsSerializer()
    keys = TargetAllowanceSerializer(many=True)
    flows = TargetAllowanceSerializer(many=True)

    def to_representation(self, found: Allowances) -> dict[str, Any]:
        limits = found.limits
        return {
            "resetsDate": iso_millis(next_month()),
            "workspace": _allowance(found.workspace),
            "eachKey": _bounds(limits.each_key),
            "eachFlow": _bounds(limits.each_flow),
            "eachAddress": {"callsPerMinute": limits.address.calls_a_minute},
            "keys": _targets(found.keys),
            "flows": _targets(found.flows),
        }


class LimitsChangeSerializer(serializers.Serializer[Changes]):
    """What is to be set; what is left out keeps its value."""

    workspace = BoundsSerializer(required=False)
    eachKey = BoundsSerializer(required=False)
    eachFlow = BoundsSerializer(required=False)
    eachAddress = CallsSerializer(required=False)
    keys = serializers.ListField(child=TargetBoundsSerializer(), required=False, max_length=MOST_TARGETS)
    flows = serializers.ListField(child=TargetBoundsSerializer(), required=False, max_length=MOST_TARGETS)

    def changes(self) -> Changes:
        """What was asked for, once it is valid."""
        given = self.validated_data
        return Changes(
            sections={kind: _columns(given[name]) for name, kind in SECTIONS.items() if name in given},
            keys=[(one["id"], _columns(one)) for one in given.get("keys", ())],
            flows=[(one["id"], _columns(one)) for one in given.get("flows", ())],
        )


def _columns(given: Mapping[str, Any]) -> Given:
    return {column: given[name] for name, column in COLUMNS.items() if name in given}


def _bounds(bounds: Bounds) -> dict[str, Any]:
    shown = {name: getattr(bounds, column) for name, column in COLUMNS.items()}
    return {name: float(value) if isinstance(value, Decimal) else value for name, value in shown.items()}


def _allowance(allowance: Allowance) -> dict[str, Any]:
    bounds, spent = allowance.bounds, allowance.spent
    tokens, usd = bounds.tokens_a_month, bounds.usd_a_month
    return {
        **_bounds(bounds),
        "used": {"tokens": spent.tokens, "usd": float(spent.usd)},
        "left": {
            "tokens": None if tokens is None else max(0, tokens - spent.tokens),
            "usd": None if usd is None else float(max(Decimal(0), usd - spent.usd)),
        },
    }


def _targets(found: Mapping[UUID, Allowance]) -> list[dict[str, Any]]:
    return [{"id": str(one), **_allowance(allowance)} for one, allowance in found.items()]
