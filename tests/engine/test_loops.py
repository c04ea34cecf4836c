from engine.context import NodeContext
from engine.events import NodeFinished, RunFailed
from engine.runner import Limits
from engine.spec import Inputs, NodeResult
from tests.engine.drawing import Board, Does, echoes, entry_of, error_of, gives, ran, skipped


def loops(target: str, times: int) -> Does:
    async def run(ctx: NodeContext, inputs: Inputs) -> NodeResult:
        if ctx.runs < times:
            return NodeResult(output={"content": "again"}, jump_to=target)
        return NodeResult(output={"content": f"enough after {ctx.runs}"})

    return run


async def test_a_loop_runs_its_body_again(board: Board) -> None:
    board.does["loop"] = loops("body", times=2)

    events = await board.run("start -> body -> loop")

    assert ran(events) == ["start", "body", "loop", "body", "loop", "body", "loop"]
    assert entry_of(events, "loop")["data"]["output"]["content"] == "enough after 2"


async def test_the_target_of_a_loop_keeps_the_nodes_from_which_it_was_reached_first(board: Board) -> None:
    board.does["loop"] = loops("body", times=1)

    events = await board.run("start -> body -> loop")

    assert entry_of(events, "body")["previousNodeIds"] == ["start"]


async def test_a_loop_goes_back_to_a_join_without_its_other_sources(board: Board) -> None:
    board.does["loop"] = loops("join", times=1)

    events = await board.run("""
        start -> left -> join
        start -> right -> join
        join -> loop
    """)

    assert ran(events) == ["start", "left", "right", "join", "loop", "join", "loop"]


async def test_a_join_inside_a_loop_waits_anew_in_each_round(board: Board) -> None:
    board.does["loop"] = loops("top", times=1)

    events = await board.run("""
        start -> top
        top -> left -> join
        top -> right -> middle -> join
        join -> loop
    """)

    round_ = ["top", "left", "right", "middle", "join", "loop"]
    assert ran(events) == ["start", *round_, *round_]


async def test_the_way_out_of_a_loop_may_be_taken_after_it_was_not(board: Board) -> None:
    async def check(ctx: NodeContext, inputs: Inputs) -> NodeResult:
        return NodeResult(taken=frozenset({0 if ctx.runs < 2 else 1}))

    board.does |= {"check": check, "loop": loops("body", times=9)}

    events = await board.run("""
        start -> body -> check
        check[again] -> loop
        check[done] -> end
    """)

    assert ran(events)[-3:] == ["body", "check", "end"]
    assert ran(events).count("loop") == 2
    assert skipped(events) == ["end", "end", "loop"]


async def test_what_the_loop_does_not_reach_is_not_run_again(board: Board) -> None:
    board.does["loop"] = loops("body", times=1)

    events = await board.run("""
        start -> body -> loop
        start -> other -> end
    """)

    assert ran(events).count("other") == ran(events).count("end") == 1


async def test_a_pass_is_over_before_the_next_one_begins(board: Board) -> None:
    board.does["loop"] = loops("top", times=1)

    events = await board.run("""
        start -> top
        top -> loop
        top -> left -> join
        top -> right -> slow -> join
    """)

    pass_ = ["top", "loop", "left", "right", "slow", "join"]
    assert ran(events) == ["start", *pass_, *pass_]


async def test_loops_that_go_back_at_once_begin_one_pass_together(board: Board) -> None:
    board.does |= {"one": loops("top", times=1), "two": loops("top", times=1), "three": loops("body", times=1)}

    events = await board.run("""
        start -> top
        top -> one
        top -> two
        top -> body -> three
    """)

    assert ran(events) == ["start", *["top", "one", "two", "body", "three"] * 2]


async def test_nested_loops_go_round_each_by_its_own_count(board: Board) -> None:
    async def inner(ctx: NodeContext, inputs: Inputs) -> NodeResult:
        return NodeResult(taken=frozenset({0 if ctx.runs % 2 == 0 else 1}))

    board.does |= {"check": inner, "inside": loops("body", times=99), "outside": loops("top", times=1)}

    events = await board.run("""
        start -> top -> body -> check
        check[in] -> inside
        check[out] -> outside
    """)

    assert ran(events) == [
        "start",
        *["top", "body", "check", "inside", "body", "check", "outside"],
        *["top", "body", "check", "inside", "body", "check", "outside"],
    ]


async def test_loop_count_is_the_jumps_of_the_loop_that_jumped_last(board: Board) -> None:
    board.does |= {"body": echoes, "loop": loops("body", times=2)}
    board.inputs["body"] = {"text": "round {{ loop_count }}"}

    events = await board.run("start -> body -> loop")

    entries = [e.entry for e in events if isinstance(e, NodeFinished) and e.node_id == "body"]
    assert [entry["data"]["output"]["content"] for entry in entries] == ["round 0", "round 1", "round 2"]


async def test_a_reference_is_to_the_latest_output(board: Board) -> None:
    async def count(ctx: NodeContext, inputs: Inputs) -> NodeResult:
        return NodeResult(output={"content": str(ctx.runs)})

    board.does |= {"body": count, "loop": loops("body", times=2), "end": echoes}
    board.inputs["end"] = {"text": "{{ body }}"}

    events = await board.run("""
        start -> body -> loop
        body -> end
    """)

    assert entry_of(events, "end")["data"]["output"]["content"] == "2"


async def test_a_loop_without_end_is_ended(board: Board) -> None:
    board.does["loop"] = loops("body", times=10**9)

    events = await board.run("start -> body -> loop", limits=Limits(executions=50))

    assert len(ran(events)) == 50
    assert "Maximum iteration limit reached: a run may execute 50 nodes" in error_of(events).error
    assert error_of(events).code == "run_limit"


async def test_a_jump_to_nowhere_is_an_error_that_names_it(board: Board) -> None:
    board.does["loop"] = gives(jump_to="gone_0")

    events = await board.run("start -> loop")

    assert isinstance(events[-1], RunFailed)
    assert error_of(events).error == (
        "It loops back to 'gone_0', which is not in the flow, or not in the same iteration: choose a node to go back "
        "to."
    )
    assert error_of(events).node_id == "loop"
