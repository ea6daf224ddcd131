"""Matrix products: structure, transposes and factors, with the NaNs that inputs deserve."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import symgraph as sg
from symgraph import Tensor, simplify

Array = np.ndarray[Any, Any]

X = sg.matrix("X", shape=("n", 4))
Y = sg.matrix("Y", shape=("n", 4))
S = sg.matrix("S", shape=(4, 4))
T = sg.matrix("T", shape=(4, 4))
L = sg.matrix("L", shape=(200, 4))
v = sg.vector("v", shape=4)
K = sg.matrix("K", shape=("m", 4))
k = sg.vector("k", shape="m", dtype="int64")
i = sg.scalar("i", dtype="int64")

SEED = 7


def operations(expression: Tensor, passes: str = "default") -> list[str]:
    nodes = sg.Graph([simplify(expression, passes)]).nodes
    return sorted(n.op.name for n in nodes if n.inputs)


def values(extreme: bool = False) -> dict[Tensor, Array]:
    rng = np.random.default_rng(SEED)
    out: dict[Tensor, Array] = {
        X: rng.standard_normal((5, 4)), Y: rng.standard_normal((5, 4)),
        S: rng.standard_normal((4, 4)), T: rng.standard_normal((4, 4)),
        v: rng.standard_normal(4), k: np.array([2, 0, 2]), i: np.array(3),
        L: rng.standard_normal((200, 4)), K: rng.standard_normal((3, 4)),
    }  # fmt: skip
    if extreme:
        out[L][2, 0], out[L][7, 1], out[L][0, 3], out[L][2, 3] = np.inf, np.nan, -np.inf, np.inf
        out[K][0, 0], out[K][1, 1], out[K][0, 3], out[K][2, 3] = np.inf, np.nan, np.inf, np.inf
        out[X][1, 2], out[S][0, 3], out[S][2, 1], out[T][3, 0] = np.inf, np.nan, -np.inf, np.inf
        out[v][1] = np.inf
    return out


def check(expression: Tensor, passes: str, extreme: bool, backend: str = "reference") -> None:
    """The optimised program gives what the written one gives."""
    at = values(extreme)
    inputs = [t for t in at if t in sg.Graph([expression])]
    plain = sg.function(inputs, expression, passes=(), backend="reference")
    better = sg.function(inputs, expression, passes=passes, backend=backend)
    given = [at[t] for t in inputs]
    np.testing.assert_allclose(better(*given), plain(*given), rtol=1e-12, atol=1e-13)


# ---- structure -----------------------------------------------------------------------------------

# fmt: off
STRUCTURED: dict[str, Callable[[], Tensor]] = {
    "eye on the left":    lambda: sg.eye(4) @ S,
    "eye on the right":   lambda: X @ sg.eye(4),
    "diag on the left":   lambda: sg.diag(v) @ S,
    "diag on the right":  lambda: X @ sg.diag(v),
    "diag and a vector":  lambda: sg.diag(v) @ S[0],
    "two diags":          lambda: sg.diag(v) @ sg.diag(v + 1),
    "scaled eye":         lambda: (sg.eye(4) * 3.0) @ S,
    "transposed diag":    lambda: sg.diag(v).mT @ S,
    "one-hot rows":       lambda: sg.one_hot(k, 200) @ L,
    "one-hot and vector": lambda: sg.one_hot(k, 200) @ L[:, 1],
    "one-hot transposed": lambda: sg.one_hot(k, 200).mT @ K,
}
#: a product of so few rows or classes is cheaper than a look at all elements
FEW: dict[str, Callable[[], Tensor]] = {
    "one-hot rows":       lambda: sg.one_hot(k, 4) @ S,
    "one one-hot row":    lambda: sg.one_hot(i, 4) @ S,
    "one-hot and vector": lambda: sg.one_hot(k, 4) @ v,
    "one-hot transposed": lambda: sg.one_hot(k, 4).mT @ K,
}
# fmt: on


@pytest.mark.parametrize("name", STRUCTURED)
@pytest.mark.parametrize("passes", ["default", "fast"])
def test_structured_product_is_none(name: str, passes: str) -> None:
    assert "matmul" not in operations(STRUCTURED[name](), passes)


@pytest.mark.parametrize("name", FEW)
def test_few_labels_are_looked_up_in_fast_only(name: str) -> None:
    assert "matmul" not in operations(FEW[name](), "fast")
    assert "matmul" in operations(FEW[name]())
    check(FEW[name](), "fast", False)
    check(FEW[name](), "default", True)


@pytest.mark.parametrize("name", STRUCTURED)
@pytest.mark.parametrize("backend", ["reference", "llvm"])
def test_structured_product_keeps_values(name: str, backend: str) -> None:
    for passes in ("default", "fast"):
        check(STRUCTURED[name](), passes, False, backend)


@pytest.mark.parametrize("name", STRUCTURED)
def test_default_keeps_the_nans_of_structured_products(name: str) -> None:
    check(STRUCTURED[name](), "default", True)


def test_fast_scales_and_takes() -> None:
    assert operations(sg.diag(v) @ S, "fast") == ["expand_dims", "multiply"]
    assert operations(X @ sg.diag(v), "fast") == ["multiply"]
    assert simplify(sg.eye(4) @ S, "fast") is S
    assert operations(sg.one_hot(k, 4) @ S, "fast") == ["gather"]  # which checks the labels, too


def test_finite_matrix_needs_no_guard_in_default() -> None:
    table = sg.constant(np.arange(16.0).reshape(4, 4))
    assert "isfinite" not in operations(sg.one_hot(k, 4) @ table)


def test_integers_need_no_guard() -> None:
    n = sg.matrix("N", shape=(4, 4), dtype="int64")
    assert simplify(sg.eye(4, dtype="int64") @ n) is n


@pytest.mark.parametrize("passes", ["default", "fast"])
@pytest.mark.parametrize("first", [False, True])
def test_embedding_gradient_scatters(passes: str, first: bool) -> None:
    """Differentiated as written, or after the product became a lookup."""
    rows = sg.one_hot(k, 200) @ L
    cost = sg.sum(sg.tanh(simplify(rows) if first else rows))
    f = sg.function([k, L], sg.grad(cost, L), passes=passes, backend="reference")
    assert f.graph.count("matmul") == 0 and f.graph.count("scatter_add") >= 1
    at = values()
    want = np.zeros((200, 4))
    np.add.at(want, at[k], 1 - np.tanh(at[L][at[k]]) ** 2)
    np.testing.assert_allclose(f(at[k], at[L]), want, rtol=1e-12)


def test_gradient_through_a_diagonal_is_a_scaling() -> None:
    g = sg.grad(sg.sum(sg.square(sg.diag(v) @ S)), S)
    assert "matmul" not in operations(g)
    at = values()
    want = 2 * at[v][:, None] ** 2 * at[S]
    np.testing.assert_allclose(sg.function([v, S], g)(at[v], at[S]), want, rtol=1e-12)


def test_comparison_with_labels_out_of_range_stays_a_product() -> None:
    rows = (k[:, None] == sg.arange(4)).astype("float64")
    assert "matmul" in operations(rows @ S, "fast")


def test_lower_triangle_stays_a_product() -> None:
    assert "matmul" in operations(sg.tril(S) @ T, "fast")


# ---- transposes ----------------------------------------------------------------------------------


def test_transposes_meet_in_the_product() -> None:
    assert operations((X.mT @ Y).mT) == ["matmul", "permute_dims"]
    assert simplify((X.mT @ Y).mT) is simplify(Y.mT @ X)
    assert operations((S.mT @ T.mT).mT) == ["matmul"]


def test_transpose_of_plain_product_stays() -> None:
    assert operations((S @ T).mT) == ["matmul", "permute_dims"]


def test_transpose_twice_and_of_scalars() -> None:
    a = sg.scalar("a")
    assert simplify(X.T.T) is X
    assert simplify(sg.permute_dims(a, ())) is a


def test_stretched_operands_are_multiplied_once() -> None:
    batch = sg.broadcast_to(S, (7, 4, 4)) @ sg.broadcast_to(T, (7, 4, 4))
    (product,) = [n for n in sg.Graph([simplify(batch)]).nodes if n.op.name == "matmul"]
    assert product.shape == (4, 4)


def test_batch_times_one_matrix_is_one_product() -> None:
    batch = sg.tensor("B", shape=("b", 5, 4))
    found = simplify(sg.tanh(batch @ S + v))
    (product,) = [n for n in sg.Graph([found]).nodes if n.op.name == "matmul"]
    assert product.ndim == 2
    g = simplify(sg.grad(sg.sum(sg.tanh(batch @ S + v)), S))
    assert {n.ndim for n in sg.Graph([g]).nodes if n.op.name == "matmul"} == {2}
    rng = np.random.default_rng(SEED)
    b, w, c = rng.standard_normal((3, 5, 4)), rng.standard_normal((4, 4)), rng.standard_normal(4)
    out = np.tanh(b @ w + c)
    want = np.einsum("bnk,bnm->km", b, 1 - out**2)
    got = sg.function([batch, S, v], [found, g])(b, w, c)
    np.testing.assert_allclose(got[0], out, rtol=1e-13)
    np.testing.assert_allclose(got[1], want, rtol=1e-12)


def test_batches_on_both_sides_stay() -> None:
    one, two = sg.tensor("B", shape=("b", 5, 4)), sg.tensor("C", shape=("b", 4, 5))
    assert simplify(one @ two) is one @ two
    empty = sg.function([one, two], one @ two)(np.zeros((0, 5, 4)), np.zeros((0, 4, 5)))
    assert empty.shape == (0, 5, 5)


# ---- traces and sums -----------------------------------------------------------------------------


def test_trace_forms_no_product() -> None:
    assert operations(sg.trace(X.mT @ Y)) == ["multiply", "sum"]
    check(sg.trace(S @ T), "default", False, "llvm")


def test_trace_is_cyclic() -> None:
    at = values()
    one, two = simplify(sg.trace(S @ T)), simplify(sg.trace(T @ S))
    want = np.trace(at[S] @ at[T])
    for found in (one, two):
        np.testing.assert_allclose(found.eval({S: at[S], T: at[T]}), want, rtol=1e-12)


def test_trace_off_the_diagonal_or_shared_stays() -> None:
    assert "matmul" in operations(sg.trace(S @ T, offset=1))
    product = S @ T
    kept = simplify([sg.trace(product), sg.exp(product)])
    assert sg.Graph(kept).count("matmul") == 1


def test_diagonal_of_a_product() -> None:
    assert "matmul" not in operations(sg.diag(S @ T))
    check(sg.diag(S @ T), "default", False)


@pytest.mark.parametrize("axis", [0, 1, None])
def test_sum_of_a_product_in_fast(axis: int | None) -> None:
    found = simplify(sg.sum(S @ T, axis=axis), "fast")
    shapes = [n.shape for n in sg.Graph([found]).nodes if n.op.name == "matmul"]
    assert all(1 in shape for shape in shapes)
    check(sg.sum(S @ T, axis=axis), "fast", False)


def test_sum_of_a_product_in_default_may_not_overflow() -> None:
    f = sg.function([S, T], sg.sum(S @ T, axis=0), backend="reference")
    big, small = np.full((4, 4), 1e308), np.full((4, 4), 1e-10)
    assert np.isfinite(f(big, small)).all()


def test_bounded_factors_sum_first_in_default() -> None:
    expression = sg.sum(sg.tanh(S) @ sg.tanh(T), axis=0)
    shapes = [n.shape for n in sg.Graph([simplify(expression)]).nodes if n.op.name == "matmul"]
    assert shapes == [(1, 4)]


# ---- factors -------------------------------------------------------------------------------------


def test_outer_product_and_square() -> None:
    assert "matmul" not in operations(v[:, None] @ v[None, :])
    assert operations(v @ v) == ["square", "sum"]
    assert operations(sg.einsum("ij,ij->", S, S)) == ["square", "sum"]
    check(v[:, None] @ v[None, :], "default", True)


def test_column_times_a_vector_of_unknown_length_stays() -> None:
    """That its length must be 1 does not make it one that stretches."""
    column, line = sg.matrix("c", shape=(3, 1)), sg.vector("u", shape="p")
    f = sg.function([column, line], column @ line, backend="reference")
    np.testing.assert_array_equal(f(np.array([[1.0], [2.0], [3.0]]), np.array([2.0])), [2, 4, 6])


def test_literal_rises_where_it_grows() -> None:
    assert simplify((2 * S) @ T) is simplify(2 * (S @ T))
    assert simplify((2 * S) @ (3 * T)) is simplify(6 * (S @ T))


def test_factor_of_both_operands_rises_twice() -> None:
    check((2 * S) @ (2 * S), "default", False)
    check((v[0] * S) @ (v[0] * S), "fast", False)


def test_small_literal_stays_where_the_product_could_overflow() -> None:
    f = sg.function([S, T], (1e-5 * S) @ T, backend="reference")
    big = np.diag(np.full(4, 1e156))
    assert np.isfinite(f(big, np.diag(np.full(4, 1e155)))).all()
    assert simplify((1e-5 * S) @ T, "fast").op.name == "multiply"


def test_signs_rise() -> None:
    assert simplify(-S @ -T) is simplify(S @ T)


def test_common_factor_in_fast_only() -> None:
    both = S @ T + S @ S.mT
    assert operations(both, "fast").count("matmul") == 1
    assert operations(both).count("matmul") == 2
    check(both, "fast", False)


def test_zero_absorbs_only_what_is_finite() -> None:
    check(sg.zeros((2, 4)) @ S, "default", True)
    assert "matmul" not in operations(sg.zeros((2, 4)) @ S, "fast")


def test_gradient_of_a_quadratic_form() -> None:
    g = sg.grad(v @ (S @ v), v)
    at = values()
    want = (at[S] + at[S].T) @ at[v]
    np.testing.assert_allclose(simplify(g).eval({v: at[v], S: at[S]}), want, rtol=1e-12)


# ---- scalar factors and outer products in fast ---------------------------------------------------

p, q, r = (sg.vector(name, shape="d") for name in "pqr")
c = sg.scalar("c")


@pytest.mark.parametrize("passes", ["default", "fast"])
def test_outer_product_is_never_formed_in_fast(passes: str) -> None:
    """Default forms it: with p small, p (q r) overflows where (p q) r does not."""
    rng = np.random.default_rng(SEED)
    u, v, w = rng.standard_normal((3, 5))
    for expression, wanted in (
        (sg.outer(p, q) @ r, u * (v @ w)),
        (r @ sg.outer(p, q), (w @ u) * v),
    ):
        squares = [n for n in sg.Graph([simplify(expression, passes)]) if n.shape == p.shape * 2]
        assert len(squares) == (passes == "default")
        found = sg.function([p, q, r], expression, passes=passes)(u, v, w)
        np.testing.assert_allclose(found, wanted, rtol=1e-12)


def test_outer_product_of_small_values_is_not_formed_in_default() -> None:
    expression = sg.outer(sg.tanh(p), sg.sigmoid(q)) @ sg.tanh(r)
    assert all(n.ndim < 2 or 1 in n.shape for n in sg.Graph([simplify(expression)]))


@pytest.mark.parametrize(
    ("make", "wanted"),
    [
        (lambda: sg.sum(c * p), "c * sum(p)"),
        (lambda: sg.sum(p * sg.sum(q)), "sum(q) * sum(p)"),
        (lambda: sg.sum(c * X, axis=0), "c * sum(X, axis=0)"),
    ],
)
def test_scalar_factors_leave_sums_in_fast(make: Callable[[], Tensor], wanted: str) -> None:
    assert sg.pprint(simplify(make(), "fast")) == wanted
    assert simplify(make()).op.name == "sum"
