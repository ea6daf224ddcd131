"""A process that compiles functions and tells, as JSON, the bits of their results and where the
code came from: ``python cached_models.py models|table|own FACTOR``."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import symgraph as sg
from symgraph.op import Op
from symgraph.tensor import apply
from symgraph.types import TensorType

Made = tuple[str, Any, list[Any]]


def models() -> Iterator[Made]:
    """One function of each kind of kernel."""
    rng = np.random.default_rng(5)
    x, w = sg.tensor("x", shape=("n", 40), dtype="float32"), sg.matrix("w")
    v = sg.vector("v")
    a = rng.normal(size=(33, 40)).astype("float32")
    b, c = rng.normal(size=(17, 23)), rng.normal(size=29)
    yield "map", sg.function([x], sg.exp(-x * x / 2) * sg.tanh(x) + sg.log1p(x * x)), [a]
    yield "rows", sg.function([x], [sg.softmax(x, axis=1), sg.sum(x, axis=0)]), [a]
    yield "large angles", sg.function([v], sg.sin(v * 1e30)), [c]
    yield "product", sg.function([w], w @ w.T), [b]
    yield "fused product", sg.function([x], sg.relu(x @ x.T * 2 + 1)), [a]
    yield "scan", sg.function([v], sg.cumsum(v)), [c]
    yield "selection", sg.function([v], v[v > 0]), [c]
    yield "gradient", sg.function([v], sg.grad(sg.sum(v[:7] ** 3 * sg.sin(v[1:8])), v)), [c]
    state = sg.shared(np.ones(29), name="state")
    f = sg.function([v], sg.sum(state), updates={state: state * 0.5 + v})
    yield "update", lambda array: [f(array), f(array), state.get_value()], [c]


def table() -> Iterator[Made]:
    """Every row of the table of operations, in its first dtype."""
    sys.path.insert(0, str(Path(__file__).parents[2] / "table"))
    from op_case import draw, variables
    from op_cases import CASES

    for case in CASES:
        dtype = case.dtypes[0]
        xs = variables(case, dtype)
        f = sg.function(xs, case.build(*xs), passes=())
        yield case.id, f, draw(case, np.random.default_rng(3), 5, dtype)


def own(factor: float) -> Iterator[Made]:
    """An operation of the user's with native code of its own, always under the same name."""

    def infer(types: Any, attrs: Any, equations: Any) -> TensorType:
        return TensorType(types[0].dtype, types[0].shape)

    def lower(b: Any, dtype: Any, v: Any) -> Any:
        return b.fmul(v[0], b.const(v[0].type, factor))

    op = Op("scaled", infer, lambda x: factor * x, frozenset({"elementwise"}), lower=lower)
    x = sg.vector("x")
    yield "own", sg.function([x], apply(op, (x,)) + 1), [np.arange(3.0)]


def bits(value: Any) -> str:
    """A digest of an array or of several."""
    digest = hashlib.sha256()
    for part in value if isinstance(value, (list, tuple)) else [value]:
        array = np.ascontiguousarray(part)
        digest.update(f"{array.dtype} {np.shape(part)}".encode() + array.tobytes())
    return digest.hexdigest()


def main(kind: str, *rest: str) -> None:
    made = own(float(rest[0])) if kind == "own" else {"models": models, "table": table}[kind]()
    found: dict[str, Any] = {"bits": {}, "compiled": 0, "from_disk": 0, "cache": "", "programs": []}
    for name, f, arrays in made:
        found["bits"][name] = bits(f(*arrays))
        stats = getattr(f, "compile_stats", None)
        if stats is not None:
            found["compiled"] += stats.compiled
            found["from_disk"] += stats.from_disk
            found["cache"] = stats.cache
            found["programs"].append(stats.program)
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
