"""Canonical bytes: equal for the same code, in any process; different for any other program."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import symgraph as sg
from symgraph.canonical import LIMIT, canonical_bytes
from symgraph.graph import Graph
from symgraph.op import Op
from symgraph.ops import leaves
from symgraph.sizes import Size
from symgraph.tensor import Tensor, apply
from symgraph.types import TensorType

Program = tuple[list[Tensor], list[Tensor], dict[Any, Tensor]]


def key(inputs: list[Tensor], outputs: list[Tensor], updates: dict[Any, Tensor]) -> bytes | None:
    """The canonical bytes of what ``sg.function`` would get."""
    roots = [*outputs, *updates.values()]
    return canonical_bytes(Graph(roots, inputs).nodes, roots, inputs, tuple(updates))


def vec(name: str | None = "x", n: Any = "n", dtype: str = "float64") -> Tensor:
    return sg.tensor(name, shape=(n,), dtype=dtype)


def of(build: Callable[[Tensor], Any], x: Tensor | None = None) -> Program:
    x = vec() if x is None else x
    found = build(x)
    return [x], list(found) if isinstance(found, list) else [found], {}


def scaled(value: Any, dtype: Any = "float64") -> Program:
    return of(lambda x: x * sg.constant(value, dtype=dtype))


def two_inputs(a: Any, b: Any, build: Callable[[Tensor, Tensor], Tensor] | None = None) -> Program:
    x, y = sg.tensor("x", shape=(a,)), sg.tensor("y", shape=(b,))
    return [x, y], [build(x, y) if build else sg.sum(x) + sg.sum(y)], {}


def swapped(program: Program) -> Program:
    inputs, outputs, updates = program
    return inputs[::-1], outputs, updates


def shared(reads: str, writes: str) -> Program:
    found = {name: sg.shared(np.zeros(3)) for name in "ab"}
    out = sum((found[name] * (k + 2) for k, name in enumerate(reads)), start=sg.constant(0.0))
    return [], [out], {found[name]: found["a"] + found["b"] * 5 for name in writes}


def picked(n: int) -> Program:
    x = vec()
    masks = [x > k for k in range(2)]
    parts = [sg.sum(x[masks[0]]), sg.sum(x[masks[n]] * 2)]
    return [x], parts, {}


#: Programs that are all different.
PROGRAMS: dict[str, Callable[[], Program]] = {
    "plain": lambda: of(lambda x: sg.exp(x)),
    "another op": lambda: of(lambda x: sg.log(x)),
    "another name": lambda: of(lambda x: sg.exp(x), vec("y")),
    "no name": lambda: of(lambda x: sg.exp(x), vec(None)),
    "another dtype": lambda: of(lambda x: sg.exp(x), vec(dtype="float32")),
    "static": lambda: of(lambda x: sg.exp(x), vec(n=3)),
    "static 4": lambda: of(lambda x: sg.exp(x), vec(n=4)),
    "another symbol": lambda: of(lambda x: sg.exp(x), vec(n="m")),
    "unnamed": lambda: of(lambda x: sg.exp(x), vec(n=None)),
    "0.0": lambda: scaled(0.0),
    "-0.0": lambda: scaled(-0.0),
    "nan": lambda: scaled(np.nan),
    "-nan": lambda: scaled(np.copysign(np.nan, -1.0)),
    "nan with bits": lambda: scaled(np.array(0x7FF8000000000001).view("f8")),
    "1.0": lambda: scaled(1.0),
    "integer 1": lambda: of(lambda x: x * sg.constant(1), vec(dtype="int64")),
    "1.0 float32": lambda: of(lambda x: x * sg.constant(1.0, "float32"), vec(dtype="float32")),
    "weak output": lambda: of(lambda x: [x, sg.constant(1.0)]),
    "strong output": lambda: of(lambda x: [x, sg.constant(1.0, "float64")]),
    "one element": lambda: scaled([1.0]),
    "one by one": lambda: scaled([[1.0]]),
    "array": lambda: of(lambda x: x * np.arange(3.0), vec(n=3)),
    "another array": lambda: of(lambda x: x * np.array([0.0, 1.0, 3.0]), vec(n=3)),
    "large array": lambda: of(lambda x: x * np.arange(900.0), vec(n=900)),
    "large array, last": lambda: of(lambda x: x * np.append(np.arange(899.0), 7.0), vec(n=900)),
    "axis 0": lambda: of(lambda x: sg.sum(x, axis=0), sg.matrix("x", shape=("n", "n"))),
    "axis 1": lambda: of(lambda x: sg.sum(x, axis=1), sg.matrix("x", shape=("n", "n"))),
    "keepdims": lambda: of(lambda x: sg.sum(x, axis=0, keepdims=True), vec()),
    "sum": lambda: of(lambda x: sg.sum(x)),
    "outputs": lambda: of(lambda x: [sg.exp(x), sg.log(x)]),
    "outputs swapped": lambda: of(lambda x: [sg.log(x), sg.exp(x)]),
    "output twice": lambda: of(lambda x: [sg.exp(x), sg.exp(x)]),
    "two sizes": lambda: two_inputs("n", "m"),
    "one size": lambda: two_inputs("n", "n"),
    "two unnamed": lambda: two_inputs(None, None),
    "inputs swapped": lambda: swapped(two_inputs("n", "m")),
    "left": lambda: two_inputs("n", "n", lambda x, y: x - y),
    "right": lambda: two_inputs("n", "n", lambda x, y: y - x),
    "equation": lambda: two_inputs("n", "m", lambda x, y: x - y),
    "unused": lambda: two_inputs("n", "m", lambda x, y: x),
    "length": lambda: two_inputs("n", "m", lambda x, y: x * x.shape[0]),
    "length of the other": lambda: two_inputs("n", "m", lambda x, y: x * y.shape[0]),
    "reads ab": lambda: shared("ab", ""),
    "reads a": lambda: shared("a", ""),
    "reads aa": lambda: shared("aa", ""),
    "ab, updates a": lambda: shared("ab", "a"),
    "ab, updates b": lambda: shared("ab", "b"),
    "ba, updates ab": lambda: shared("ba", "ab"),
    "ab, updates ab": lambda: shared("ab", "ab"),
    "one mask": lambda: picked(0),
    "two masks": lambda: picked(1),
}


def test_different_programs_have_different_bytes() -> None:
    found: dict[bytes, str] = {}
    for name, build in PROGRAMS.items():
        bytes_ = key(*build())
        assert bytes_ is not None, name
        assert bytes_ not in found, (name, found[bytes_])
        found[bytes_] = name


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_same_code_has_the_same_bytes(name: str) -> None:
    # serial numbers of sizes sort in another order where they gain a digit, once in many times
    assert any(key(*PROGRAMS[name]()) == key(*PROGRAMS[name]()) for _ in range(3))


def test_every_operation_has_canonical_bytes() -> None:
    x = sg.matrix("x", shape=(4, 4))
    results = [x.T, x[1:, ::2], sg.pad(x, 1), sg.reshape(x, (2, 8)), sg.cumsum(x, axis=0), x @ x]
    results += [
        sg.concat([x, x]),
        sg.softmax(x, axis=1),
        sg.take(x, [1, 0], axis=0),
        x.at[0].set(1),
    ]
    assert key([x], results, {}) is not None


def test_what_a_user_made_has_none() -> None:
    def infer(types: Any, attrs: Any, equations: Any) -> TensorType:
        return TensorType(types[0].dtype, types[0].shape)

    own = Op("exp", infer, lambda x: x, frozenset({"elementwise"}))
    x = vec()
    assert key([x], [apply(own, (x,))], {}) is None
    assert key([x], [apply(sg.exp(x).op, (x,), (("note", object()),))], {}) is None


def test_very_large_constants_have_none() -> None:
    big = np.zeros(LIMIT // 8 + 1)
    assert key([], [sg.constant(big)], {}) is None
    assert key([], [sg.constant(big[: LIMIT // 8])], {}) is not None


PROCESS = """
import sys; sys.path.insert(0, {folder!r})
import hashlib
from test_canonical import PROGRAMS, key
print(hashlib.sha256(b"".join(key(*build()) for build in PROGRAMS.values())).hexdigest())
"""


@pytest.mark.parametrize("seed", ["0", "1", "77"])
def test_another_process_finds_the_same_bytes(seed: str) -> None:
    code = PROCESS.format(folder=os.path.dirname(__file__))
    found = [
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": s},
            capture_output=True, text=True, check=True,
        ).stdout
        for s in ("5", seed)
    ]  # fmt: skip
    assert found[0] == found[1] and len(found[0].strip()) == len(hashlib.sha256().hexdigest())


# ---- against a slow description ------------------------------------------------------------------


def described(program: Program) -> str:
    """The program as text, written in another way: one line for each node, ids for sizes."""
    inputs, outputs, updates = program
    ids: dict[str, str] = {}

    def dim(d: Any) -> str:
        if not isinstance(d, Size):
            return str(d)
        text = str(d)
        return ids.setdefault(text, f"s{len(ids)}") if text.startswith("_") else text

    def attr(value: Any) -> str:
        if isinstance(value, np.ndarray):
            return f"{value.dtype} {value.shape} {value.tobytes().hex()}"
        if isinstance(value, tuple):
            return "(" + ",".join(map(attr, value)) + ")"
        return dim(value) if isinstance(value, Size) else f"{type(value).__name__} {value!r}"

    roots = [*outputs, *updates.values()]
    graph, lines, numbers = Graph(roots, inputs), [], dict[int, int]()
    extra = [i for i in (*inputs, *updates) if i not in graph]
    for n in (*graph.nodes, *extra):
        shape = ",".join(map(dim, n.shape))
        attrs = ";".join(f"{k}={attr(v)}" for k, v in n.attrs.items())
        args = [numbers[id(i)] for i in n.inputs]
        what = n.name if n.op in (leaves.input_, leaves.shared) else ""
        equal = [(dim(a), dim(b)) for a, b in n.equations]
        lines.append(
            f"{n.op.name} {args} {n.dtype}[{shape}] {n.type.weak} {attrs} {what!r} {equal}"
        )
        numbers[id(n)] = len(numbers)
    ends = [[numbers[id(n)] for n in each] for each in (roots, inputs, updates)]
    return "\n".join([*lines, str(ends)])


def grown(draw: random.Random) -> Program:
    """A small program of few kinds, so that two of them are often the same."""
    dtypes, sizes = ("float32", "float64"), ("n", "m", None, 3)
    inputs = [vec(draw.choice("xy"), draw.choice(sizes), draw.choice(dtypes)) for _ in range(2)]
    state = [sg.shared(np.zeros(3)) for _ in range(2)]
    pool: list[Tensor] = [*inputs, *state]
    for _ in range(draw.randint(1, 3)):
        a, b = draw.choice(pool), draw.choice(pool)
        kind = draw.randrange(5)
        if kind == 0:
            pool.append(sg.exp(a))
        elif kind == 1:
            pool.append(a * draw.choice((0.0, -0.0, 2.0, np.nan)))
        elif kind == 2:
            pool.append(sg.sum(a) + sg.sum(b))
        elif kind == 3:
            pool.append(sg.flip(a, axis=0) if a.ndim else a)
        else:
            pool.append(a * a.shape[0] if a.ndim else a)
    updates = {s: s + draw.choice((1.0, 2.0)) for s in state if draw.random() < 0.2}
    return inputs, [pool[-1]], updates


def test_random_programs_are_equal_exactly_where_a_slow_description_says_so() -> None:
    draw = random.Random(20261121)
    by_bytes: dict[bytes, str] = {}
    by_text: dict[str, bytes] = {}
    total = 3000
    for k in range(total):
        program = grown(draw)
        bytes_, text = key(*program), described(program)
        assert bytes_ is not None
        assert by_bytes.setdefault(bytes_, text) == text, f"seed 20261121, program {k}"
        assert by_text.setdefault(text, bytes_) == bytes_, f"seed 20261121, program {k}"
    assert len(by_bytes) < 0.95 * total  # some were met again
