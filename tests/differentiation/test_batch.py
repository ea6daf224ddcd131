"""``batch``: every operation for many values at once, beside the same operation once per value."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from derivative_oracles import IN_NUMPY, Array, compiled, run

import symgraph as sg
from symgraph.errors import DTypeError, ShapeError, UnsupportedError, UsageError
from symgraph.functions.creation import iota
from symgraph.ops import OPS
from symgraph.passes.batch import batch
from symgraph.passes.batching import NOT_BATCHED, RULES
from symgraph.tensor import apply

SIZE = 3
INDEX = np.array([[0, 2], [1, -1]])


def _ints(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return rng.integers(0, 3, (SIZE, *shape))


def _floats(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return rng.normal(size=(SIZE, *shape))


def _bools(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return rng.random((SIZE, *shape)) > 0.5


F, I, B = _floats, _ints, _bools

#: op, attributes, (kind, shape) of each operand
CASES: list[tuple[str, dict[str, Any], tuple[Any, ...]]] = [
    *(
        (name, {"axis": axis}, ((F, (4, 3, 2)),))
        for name in ("sum", "prod", "max", "min", "norm", "logsumexp", "softmax", "log_softmax")
        for axis in ((0,), (1, 2))
    ),
    *((name, {"axis": (1,)}, ((B, (4, 3)),)) for name in ("any", "all")),
    *((name, {"axis": (0,)}, ((F, (4, 3)),)) for name in ("argmax", "argmin")),
    ("cumulative_sum", {"axis": 1, "reverse": True}, ((F, (4, 3)),)),
    ("linear_recurrence", {"axis": 0, "reverse": False}, ((F, (4, 3)), (F, (4, 3)))),
    ("reshape", {"shape": (2, 6)}, ((F, (4, 3)),)),
    ("permute_dims", {"axes": (2, 0, 1)}, ((F, (4, 3, 2)),)),
    ("expand_dims", {"axes": (0, 2)}, ((F, (4,)),)),
    ("squeeze", {"axes": (1,)}, ((F, (4, 1, 3)),)),
    ("broadcast_to", {"shape": (5, 4, 3)}, ((F, (4, 1)),)),
    ("slice", {"starts": (3, 0), "steps": (-1, 2), "lengths": (4, 2)}, ((F, (4, 3)),)),
    ("place", {"starts": (1, 0), "steps": (2, 1), "shape": (6, 3)}, ((F, (2, 3)), (F, ()))),
    ("concat", {"axis": 1}, ((F, (4, 3)), (F, (4, 2)), (F, (4, 1)))),
    ("gather", {"axes": (1,)}, ((F, (2, 3, 2)), (I, (4, 2)))),
    ("gather", {"axes": (0, 2)}, ((F, (3, 2, 3)), (I, (4, 1)), (I, (2,)))),
    ("gather", {"axes": (0,)}, ((F, (3,)), (I, ()))),
    ("scatter_add", {"axes": (1,)}, ((F, (2, 3)), (F, (4, 2)), (I, (4,)))),
    ("scatter_add", {"axes": (0, 1)}, ((F, (3, 3)), (F, (2, 4)), (I, (2, 1)), (I, (4,)))),
    ("scatter_set", {"axes": (0,)}, ((F, (3, 2)), (F, (5, 2)), (I, (5,)))),
    ("matmul", {}, ((F, (4, 3)), (F, (3, 2)))),
    ("matmul", {}, ((F, (4, 3)), (F, (3, 1)))),
    ("matmul", {}, ((F, (5, 1, 4, 3)), (F, (2, 3, 2)))),
    ("matmul", {}, ((F, (4, 3)), (F, (2, 3, 2)))),
    ("where", {}, ((B, (3,)), (F, (4, 1)), (F, ()))),
    ("clip", {}, ((F, (4, 3)), (F, (3,)), (F, ()))),
    ("astype", {"dtype": np.dtype("int32")}, ((F, (4,)),)),
    ("stop_gradient", {}, ((F, (4,)),)),
]


def _subsets(count: int) -> list[tuple[bool, ...]]:
    return [s for s in itertools.product((True, False), repeat=count) if any(s)]


def _id(case: tuple[str, dict[str, Any], tuple[Any, ...]]) -> str:
    return f"{case[0]}-{'-'.join(f'{k}={v}' for k, v in case[1].items())}".replace(" ", "")


@pytest.mark.parametrize("case", CASES, ids=_id)
def test_batch_equals_one_by_one(case: tuple[str, dict[str, Any], tuple[Any, ...]]) -> None:
    name, attrs, operands = case
    rng = np.random.default_rng(7)
    values = [draw(rng, shape) for draw, shape in operands]
    xs = [sg.tensor(f"x{k}", v.shape[1:], v.dtype) for k, v in enumerate(values)]
    node = apply(OPS[name], tuple(xs), tuple(attrs.items()))
    for varies in _subsets(len(xs)):
        many = [sg.tensor(f"many{k}", ("B", *v.shape[1:]), v.dtype) for k, v in enumerate(values)]
        given = {x: m for x, m, v in zip(xs, many, varies, strict=True) if v}
        (out,) = batch([node], given)
        arrays = [v if varying else v[0] for v, varying in zip(values, varies, strict=True)]
        inputs = [m if v else x for x, m, v in zip(xs, many, varies, strict=True)]
        wanted = np.stack(
            [
                OPS[name].evaluate(
                    *[a[b] if v else a for a, v in zip(arrays, varies, strict=True)], **attrs
                )
                for b in range(SIZE)
            ]
        )
        found = run(inputs, out, *arrays)
        np.testing.assert_allclose(found, wanted, rtol=1e-13, atol=1e-14, err_msg=str(varies))
        assert found.dtype == wanted.dtype


def test_every_op_has_a_rule_or_a_reason() -> None:
    missing = [
        op.name
        for op in OPS.values()
        if "leaf" not in op.traits
        and op.name != "iota"  # no inputs, so never batched
        and not (op.elementwise or op in RULES or op in NOT_BATCHED)
    ]
    assert missing == []


def test_every_rule_of_its_own_has_a_case() -> None:
    tried = {name for name, _, _ in CASES} | {"max_and_argmax", "item"}
    assert {op.name for op in RULES} <= tried


def test_results_of_an_op_with_several() -> None:
    x, rows = sg.matrix("x", (4, 3)), sg.tensor3("rows", ("B", 4, 3))
    top, place = sg.max_and_argmax(x, axis=0)
    values = np.random.default_rng(1).normal(size=(2, 4, 3))
    found = run([rows], batch([top, place], {x: rows}), values)
    np.testing.assert_array_equal(found[0], values.max(axis=1))
    np.testing.assert_array_equal(found[1], values.argmax(axis=1))


def test_what_does_not_vary_is_computed_once() -> None:
    x, w, rows = sg.vector("x", 3), sg.matrix("w", (3, 3)), sg.matrix("rows", ("B", 3))
    (out,) = batch([sg.exp(w) @ x], {x: rows})
    shapes = [n.shape for n in sg.Graph([out]) if n.op.name == "exp"]
    assert shapes == [(3, 3)]


def test_an_output_that_does_not_vary_is_repeated() -> None:
    x, w, rows = sg.vector("x", 3), sg.vector("w", 2), sg.matrix("rows", ("B", 3))
    (out,) = batch([w], {x: rows})
    np.testing.assert_array_equal(
        run([w, rows], out, [1.0, 2.0], np.zeros((2, 3))), [[1.0, 2.0], [1.0, 2.0]]
    )


def test_a_checked_index_is_still_checked() -> None:
    x, rows = sg.vector("x"), sg.matrix("rows")
    (out,) = batch([x[3]], {x: rows})
    f = compiled([rows], out)
    np.testing.assert_array_equal(f(np.arange(8.0).reshape(2, 4)), [3.0, 7.0])
    with pytest.raises(IndexError):
        f(np.zeros((2, 3)))


def test_an_op_without_a_rule_is_written_out() -> None:
    def evaluate(x: Array) -> Array:
        return x[::-1].copy()

    backwards = sg.Op("backwards", lambda types, attrs, equations: types[0], evaluate)
    x, rows = sg.vector("x", 3), sg.matrix("rows", (2, 3))
    (out,) = batch([apply(backwards, (x,))], {x: rows})
    values = np.arange(6.0).reshape(2, 3)
    f = compiled([rows], out, backend=IN_NUMPY)
    np.testing.assert_array_equal(f(values), values[:, ::-1])
    with pytest.raises(
        UnsupportedError, match=r"backwards has no batching rule|result of backwards"
    ):
        batch([apply(backwards, (x,))], {x: sg.matrix("many", ("B", 3))})


def test_a_count_known_only_when_called_is_refused() -> None:
    x, rows = sg.vector("x", 3), sg.matrix("rows", ("B", 3))
    with pytest.raises(UnsupportedError, match=r"nonzero.*another number of elements"):
        batch([sg.sum(x[x > 0])], {x: rows})


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ({}, UsageError, "no variable"),
        ({"x": ("f", (2, 4))}, ShapeError, r"shape \(2, 4\).*leading axis than \(3,\)"),
        ({"x": ("f", (3,))}, ShapeError, r"shape \(3,\)"),
        ({"x": ("i", (2, 3))}, DTypeError, "int64, not float64"),
        ({"x": ("f", (2, 3)), "y": ("f", (4, 3))}, ShapeError, "2 values of one variable and 4"),
    ],
)  # fmt: skip
def test_values_that_do_not_fit(
    values: dict[str, Any], error: type[Exception], message: str
) -> None:
    xs = {name: sg.vector(name, 3) for name in ("x", "y")}
    dtypes = {"f": "float64", "i": "int64"}
    given = {xs[k]: sg.tensor("many", shape, dtypes[kind]) for k, (kind, shape) in values.items()}
    with pytest.raises(error, match=message):
        batch([xs["x"] + xs["y"]], given)


def test_chain_is_batched_without_recursion() -> None:
    x, rows = sg.vector("x", 2), sg.matrix("rows", ("B", 2))
    y = x
    for _ in range(5000):
        y = sg.sin(y)
    (out,) = batch([y], {x: rows})
    assert len(sg.Graph([out])) == 5001


def test_iota_never_varies() -> None:
    x, rows = sg.vector("x", 3), sg.matrix("rows", ("B", 3))
    (out,) = batch([x * iota(3).astype("float64")], {x: rows})
    np.testing.assert_array_equal(run([rows], out, np.ones((2, 3))), [[0, 1, 2], [0, 1, 2]])
