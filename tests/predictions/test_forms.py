"""Flows that start from a form."""

from __future__ import annotations

from typing import Any

import pytest

from tests.model_server import ScriptedModel
from tests.predictions import drawing
from tests.predictions.calls import Caller, names, text_of
from tests.predictions.conftest import NewFlow

VALUES = {"name": "Ann", "guests": "4", "meal": "dinner"}


@pytest.fixture
def form(new_flow: NewFlow, model: ScriptedModel) -> str:
    return new_flow(drawing.form_flow(model.url), type="AGENTFLOW")


def test_a_form_is_filled_in_and_answered(holder: Caller, form: str) -> None:
    answer = holder.answer(form, form=VALUES, chatId="c")

    assert answer["text"] == "You said: A table for 4, Ann, dinner"
    assert answer["form"] == VALUES
    assert answer["question"] == ""
    assert answer["agentFlowExecutedData"][0]["data"]["output"]["form"] == {**VALUES, "guests": 4}


def test_a_form_is_shown_in_the_conversation_line_by_line(holder: Caller, form: str) -> None:
    holder.answer(form, form=VALUES)

    asked, _ = holder.http.get(f"/chatmessage/{form}").json()

    assert asked["content"] == "name: Ann\nguests: 4\nmeal: dinner"


def test_a_forms_answer_streams(holder: Caller, form: str) -> None:
    frames = holder.stream(form, form=VALUES)

    assert text_of(frames) == "You said: A table for 4, Ann, dinner"
    assert names(frames)[-1] == "end"


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({**VALUES, "guests": "many"}, "'Guests' must be a number"),
        ({**VALUES, "meal": "breakfast"}, "'Meal' must be one of lunch, dinner"),
        ({}, "send 'form' with values for name, guests, meal"),
    ],
)
def test_a_form_that_is_filled_in_wrongly_is_refused(
    holder: Caller, form: str, values: dict[str, Any], words: str
) -> None:
    response = holder.predict(form, form=values)

    assert response.status_code == 422
    assert words in response.json()["message"]


def test_a_question_beside_a_form_is_refused(holder: Caller, form: str) -> None:
    response = holder.predict(form, "Hi", form=VALUES)

    assert response.status_code == 400
    assert response.json()["message"] == "Question and form cannot be provided at the same time"


def test_a_form_comes_in_multipart_as_well(holder: Caller, form: str) -> None:
    response = holder.http.post(
        f"/prediction/{form}", files={"form": (None, '{"name": "Ann", "guests": 4, "meal": "lunch"}')}
    )

    assert response.json()["text"] == "You said: A table for 4, Ann, lunch"


def test_a_number_that_needs_more_than_64_bits_is_looked_up_again(holder: Caller, form: str) -> None:
    answer = holder.answer(form, form={**VALUES, "guests": 1e30})

    shown = holder.http.get(f"/executions/{answer['executionId']}")

    assert shown.status_code == 200
    assert float(shown.json()["output"]["form"]["guests"]) == 1e30
