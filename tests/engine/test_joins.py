import pytest

from tests.engine.drawing import Board, entry_of, ran, skipped


async def test_only_the_branch_taken_runs(board: Board) -> None:
    events = await board.run("""
        start -> check
        check[true] -> yes -> end
        check[false] -> no -> end
    """)

    assert ran(events) == ["start", "check", "yes", "end"]
    assert skipped(events) == ["no"]


async def test_a_join_waits_for_both_sides_of_a_diamond(board: Board) -> None:
    events = await board.run("""
        start -> left -> middle -> join
        start -> right -> join
    """)

    assert ran(events) == ["start", "left", "right", "middle", "join"]


async def test_a_join_below_a_fan_out_of_one_branch_runs_once_and_last(board: Board) -> None:
    events = await board.run("""
        start -> check
        check[true] -> left -> join
        check[true] -> right -> slow -> join
        check[false] -> no -> join
    """)

    assert ran(events) == ["start", "check", "left", "right", "slow", "join"]
    assert skipped(events) == ["no"]


@pytest.mark.parametrize(("taken", "side"), [("true", "left"), ("false", "right")])
async def test_one_side_is_enough_for_a_diamond_below_a_decision(board: Board, taken: str, side: str) -> None:
    board.takes["check"] = taken

    events = await board.run("""
        start -> check
        check[true] -> left -> join
        check[false] -> right -> join
    """)

    assert ran(events) == ["start", "check", side, "join"]


async def test_all_edges_of_a_handle_that_is_not_taken_are_dead(board: Board) -> None:
    board.takes["check"] = "false"

    events = await board.run("""
        start -> check
        check[true] -> one
        check[true] -> two
        check[false] -> no
    """)

    assert ran(events) == ["start", "check", "no"]
    assert skipped(events) == ["one", "two"]


@pytest.mark.parametrize("taken", ["a", "b"])
async def test_two_handles_to_one_target_reach_it_by_either(board: Board, taken: str) -> None:
    board.takes["check"] = taken

    events = await board.run("""
        start -> check
        check[a] -> both
        check[b] -> both
    """)

    assert ran(events) == ["start", "check", "both"]


async def test_a_decision_may_take_several_ways(board: Board) -> None:
    board.takes["check"] = ["a", "c"]

    events = await board.run("""
        start -> check
        check[a] -> one
        check[b] -> two
        check[c] -> three
    """)

    assert ran(events) == ["start", "check", "one", "three"]


async def test_a_branch_without_an_edge_ends_silently(board: Board) -> None:
    board.takes["check"] = []

    events = await board.run("""
        start -> check
        check[true] -> yes
    """)

    assert ran(events) == ["start", "check"]
    assert skipped(events) == ["yes"]


@pytest.mark.parametrize(
    ("outer", "inner", "expected"),
    [
        ("in", "x", ["start", "outer", "inner", "one", "join"]),
        ("in", "y", ["start", "outer", "inner", "two", "join"]),
        ("out", "x", ["start", "outer", "three", "join"]),
    ],
)
async def test_a_join_below_nested_decisions_runs_whichever_way_leads_there(
    board: Board, outer: str, inner: str, expected: list[str]
) -> None:
    board.takes |= {"outer": outer, "inner": inner}

    events = await board.run("""
        start -> outer
        outer[in] -> inner
        inner[x] -> one -> join
        inner[y] -> two -> join
        outer[out] -> three -> join
    """)

    assert ran(events) == expected


async def test_a_dead_branch_is_dead_to_its_end(board: Board) -> None:
    board.takes["check"] = "false"

    events = await board.run("""
        start -> check
        check[true] -> a -> b -> c
        a -> c
        check[false] -> no
    """)

    assert skipped(events) == ["a", "b", "c"]


async def test_a_join_names_the_nodes_from_which_it_was_reached(board: Board) -> None:
    events = await board.run("""
        start -> check
        check[true] -> yes -> end
        check[false] -> no -> end
    """)

    assert entry_of(events, "end")["previousNodeIds"] == ["yes"]
    assert entry_of(events, "start")["previousNodeIds"] == []
