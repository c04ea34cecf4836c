from typing import Any

import pytest

from engine.errors import FlowError
from engine.events import AgentReasoned
from engine.plan import plan_for
from engine.providers.base import Completion
from engine.providers.fake import calling
from tests.engine.drawing import error_of, ran, skipped
from tests.engine.node_world import NodeWorld
from tests.engine.team import Team, answer, spoke, steps

SHOUT = ["{{shout.data.instance}}"]
PAIR = "boss -> coder\nboss -> tester"


@pytest.fixture
def team(nodes: NodeWorld) -> Team:
    return Team(nodes, types={"coder": "worker", "tester": "worker"})


def route(worker: str, instructions: str = "", text: str = "") -> Completion:
    return calling("route", {"reasoning": "so", "next": worker, "instructions": instructions}, text=text)


def heard(team: Team, call: int) -> list[tuple[str, str]]:
    return [(message.role, message.content) for message in team.model.calls[call].messages]


async def test_a_supervisor_sends_workers_until_the_work_is_done(team: Team) -> None:
    team.model.script(route("coder", "Write it."), "code", route("tester", "Test it."), "works", route("FINISH"))

    events = await team.run(PAIR, "a program")

    assert ran(events) == ["boss", "coder", "boss", "tester", "boss"]
    assert answer(events) == "works"
    assert spoke(events) == ["boss", "coder", "boss", "tester", "boss"]


async def test_a_worker_hears_the_team_and_what_is_wanted_of_it_and_of_no_other(team: Team) -> None:
    team.inputs["tester"] = {"workerPrompt": "You test for {company}.", "promptValues": '{"company": "Acme"}'}
    team.model.script(route("coder", "Write it."), "code", route("tester", "Test it."), "works", route("FINISH"))

    await team.run(PAIR, "a program")

    system, *said = heard(team, 3)
    assert system[1].startswith("You test for Acme.\nWork autonomously")
    assert system[1].endswith("one of the following team members: coder, tester.")
    assert said == [("user", "a program"), ("user", "code"), ("user", "Test it.")]
    assert team.model.calls[3].messages[2].name == "coder"


async def test_what_a_supervisor_says_in_the_end_is_the_answer(team: Team) -> None:
    team.model.script(route("coder"), "code", "All done: code")

    events = await team.run(PAIR)

    assert answer(events) == "All done: code"
    assert skipped(events)[-2:] == ["coder", "tester"]


async def test_the_reasoning_names_who_is_next_and_what_for(team: Team) -> None:
    team.inputs["coder"] = {"workerName": "Senior Coder"}
    team.model.script(route("senior_coder", "Write it."), "code", route("FINISH"))

    events = await team.run(PAIR)

    first, second, third = steps(events)
    assert (first["next"], first["instructions"], first["messages"]) == ("Senior Coder", "Write it.", [])
    assert (second["agentName"], second["messages"], second["nodeId"]) == ("Senior Coder", ["code"], "coder")
    assert third["next"] == "FINISH"
    assert [event.next_agent for event in events if isinstance(event, AgentReasoned)] == ["Senior Coder", "", ""]


async def test_a_worker_uses_its_own_tools(team: Team) -> None:
    team.inputs["coder"] = {"tools": SHOUT}
    team.model.script(route("coder"), calling("shout", {"input": "hey"}), "HEY it is", route("FINISH"))

    events = await team.run(PAIR)

    assert answer(events) == "HEY it is"
    assert steps(events)[1]["usedTools"] == [{"tool": "shout", "toolInput": {"input": "hey"}, "toolOutput": "HEY"}]
    assert [tool.name for tool in team.model.calls[1].tools] == ["shout"]


async def test_a_supervisor_that_finishes_at_once_answers_by_itself(team: Team) -> None:
    team.model.script(route("FINISH"), "Hello!")

    events = await team.run(PAIR, "hi")

    assert answer(events) == "Hello!"


async def test_a_summary_of_all_results_is_the_answer_where_it_is_wanted(team: Team) -> None:
    team.inputs["boss"] = {"summarization": True}
    team.model.script(route("coder"), "code", route("FINISH"), "In short: code")

    events = await team.run(PAIR)

    assert answer(events) == "In short: code"


async def test_a_worker_that_does_not_exist_is_chosen_anew(team: Team) -> None:
    team.model.script(route("nobody"), route("coder"), "code", route("FINISH"))

    events = await team.run(PAIR)

    assert answer(events) == "code"
    assert heard(team, 1)[-1] == ("tool", "'nobody' cannot act next; choose one of: FINISH, coder, tester.")


async def test_a_supervisor_that_insists_on_a_worker_that_does_not_exist_fails(team: Team) -> None:
    team.model.script(route("nobody"), route("nobody"))

    events = await team.run(PAIR)

    assert error_of(events).error.startswith("Error in boss: The model chose 'nobody'")


@pytest.mark.parametrize(("limit", "turns"), [(3, 3), ("4", 4)])
async def test_a_team_takes_no_more_turns_than_its_recursion_limit(team: Team, limit: Any, turns: int) -> None:
    team.inputs["boss"] = {"recursionLimit": limit}
    for _ in range(5):
        team.model.script(route("coder"), "code")

    events = await team.run(PAIR)

    assert error_of(events).code == "run_limit"
    assert len(ran(events)) == turns


async def test_workers_of_one_name_can_be_told_apart(team: Team) -> None:
    team.inputs |= {"coder": {"workerName": "Dr Who"}, "tester": {"workerName": "dr who"}}
    team.model.script(route("dr_who_2"), "it is me", route("FINISH"))

    events = await team.run(PAIR)

    assert ran(events) == ["boss", "tester", "boss"]


async def test_a_variable_of_a_workers_prompt_without_a_value_is_named(team: Team) -> None:
    team.inputs["coder"] = {"workerPrompt": "{a} {b}", "promptValues": {"a": "x"}}
    team.model.script(route("coder"))

    events = await team.run(PAIR)

    assert "has no values for b" in error_of(events).error


async def test_a_question_that_is_refused_reaches_no_worker(team: Team) -> None:
    team.inputs["boss"] = {"inputModeration": "{{guard.data.instance}}"}

    events = await team.run(PAIR, "How to build a bomb?")

    assert answer(events) == "No."
    assert ran(events) == ["boss"]
    assert team.model.calls == []


def test_a_supervisor_without_workers_is_refused(team: Team) -> None:
    with pytest.raises(FlowError, match="nobody to work for it"):
        plan_for(team.flow("boss"), team.registry())


def test_two_supervisors_are_refused(team: Team) -> None:
    with pytest.raises(FlowError, match="only one start node"):
        plan_for(team.flow("boss -> coder\nboss2 -> tester"), team.registry())


def test_a_recursion_limit_that_is_no_number_is_refused(team: Team) -> None:
    team.inputs["boss"] = {"recursionLimit": "many"}

    with pytest.raises(FlowError, match="must be a number, not 'many'"):
        plan_for(team.flow(PAIR), team.registry())
