"""From the order to cancel to the model that is no longer asked."""

from __future__ import annotations

import time
from statistics import median

from tests.journeys.stage import Stage, new_chat, read_until, set_stage
from tests.model_server import ScriptedModel
from tests.platform import Platform

REACHED_S = 0.25
TIMES = 5


def test_a_cancellation_reaches_the_model_call_at_once(platform: Platform) -> None:
    median_s = median(seconds_to_hang_up(platform) for _ in range(TIMES))

    assert median_s < REACHED_S


def seconds_to_hang_up(platform: Platform) -> float:
    """Cancel an answer that has begun; until the model has seen its connection closed."""
    with ScriptedModel() as model:
        stage = set_stage(platform, model)
        return _cancelled_after(stage)


def _cancelled_after(stage: Stage) -> float:
    chat_id = new_chat()
    stage.stall(after=3)
    with stage.platform.stream(stage.flow_id, "Count", chatId=chat_id) as stream:
        frames = iter(stream)
        read_until(frames, "one two three")
        ordered_at = time.monotonic()
        stage.stop(chat_id)
        assert stage.model.hung_up.wait(10)
        hung_up_s = time.monotonic() - ordered_at
        assert [frame.event for frame in frames][-2:] == ["abort", "end"]
    return hung_up_s
