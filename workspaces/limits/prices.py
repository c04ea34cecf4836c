"""What models cost, by the published prices of their vendors. A model that nobody sells costs nothing."""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache

from genai_prices import Usage, calc_price

from workspaces.limits.budgets import NANO


def nano_usd(model_name: str, *, input_tokens: int, output_tokens: int) -> int:
    """The price of one call, in 1e-9 of a dollar."""
    if not is_sold(model_name):
        return 0
    usage = Usage(input_tokens=input_tokens, output_tokens=output_tokens)
    price: Decimal = calc_price(usage, model_name).total_price
    return round(price * NANO)


@lru_cache(maxsize=1024)
def is_sold(model_name: str) -> bool:
    """Whether a price is known."""
    try:
        calc_price(Usage(input_tokens=1), model_name)
    except LookupError:
        return False
    return True
