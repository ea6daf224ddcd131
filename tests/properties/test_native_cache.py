"""Random graphs whose programs come from the cache: the bits and the text of compiled ones."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from random_graphs import Example, examples
from variants import assert_same_bits, outcome

import symgraph as sg
from symgraph.backends.llvm.program_cache import bypassed

SETTINGS: dict[str, Any] = {
    "derandomize": True,
    "deadline": None,
    "database": None,
    "suppress_health_check": list(HealthCheck),
}


@pytest.mark.parametrize("passes", [(), "default"])
@settings(max_examples=50, **SETTINGS)
@given(examples())
def test_programs_from_the_cache_give_the_same_bits(passes: Any, example: Example) -> None:
    def compiled() -> Any:
        return sg.function(example.inputs, example.outputs, passes=passes)

    with bypassed():
        fresh = compiled()
    compiled()
    known = compiled()
    assert (fresh.compile_stats.program, known.compile_stats.program) == ("", "memory")
    assert_same_bits(outcome(known, example.arrays), outcome(fresh, example.arrays))
    assert str(known) == str(fresh) and known.stages() == fresh.stages()
