"""The arena: rooms are given back and reused only where the new tenant provably fits."""

from __future__ import annotations

from symgraph.backends.llvm.memory import Arena
from symgraph.sizes import symbol

N, M = symbol("n"), symbol("m")


def test_a_released_block_is_taken_again() -> None:
    arena = Arena()
    first = arena.take(8 * N)
    arena.release(first)
    assert arena.take(8 * N) is first


def test_a_block_in_use_is_not_taken() -> None:
    arena = Arena()
    assert arena.take(8 * N) is not arena.take(8 * N)
    assert len(arena.blocks) == 2


def test_a_larger_block_serves_a_smaller_request() -> None:
    arena = Arena()
    large = arena.take(8 * N + 64)
    arena.release(large)
    assert arena.take(4 * N) is large


def test_the_smallest_block_that_fits_is_taken() -> None:
    arena = Arena()
    blocks = [arena.take(size) for size in (1000, 100, 500)]
    for block in blocks:
        arena.release(block)
    assert arena.take(90) is blocks[1]
    assert arena.take(90) is blocks[2]


def test_sizes_that_cannot_be_compared_do_not_share() -> None:
    arena = Arena()
    arena.release(arena.take(8 * N))
    assert arena.take(8 * M).index == 1


def test_a_smaller_block_is_not_taken() -> None:
    arena = Arena()
    arena.release(arena.take(64))
    assert arena.take(65).index == 1


def test_workspaces_are_kept_apart_from_variables() -> None:
    arena = Arena()
    workspace = arena.take(1_000_000, scratch=True)
    arena.release(workspace)
    assert arena.take(64) is not workspace
    assert arena.take(1_000_000, scratch=True) is workspace
