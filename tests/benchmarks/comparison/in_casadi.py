"""CasADi: matrix expressions in its virtual machine, in float64, its only dtype."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from comparison.cases import Case
from comparison.library import Library, Prepared

casadi: Any
np: Any


class Column(Library):
    def load(self) -> None:
        global casadi, np
        casadi = importlib.import_module("casadi")
        np = importlib.import_module("numpy")

    def version(self) -> str:
        return str(casadi.__version__)

    def warm_up(self) -> None:
        x = casadi.SX.sym("x")
        casadi.Function("f", [x], [x + 1])(1.0)

    def affine(self, case: Case, given: Mapping[str, Any]) -> Prepared:
        value = given["x"].astype("float64")
        x = casadi.SX.sym("x", max(1, value.size))
        f = casadi.Function("f", [x], [2 * x + 1])
        return lambda: f(value).full(), lambda y: {"y": y.reshape(value.shape)}

    def chain(self, case: Case, given: Mapping[str, Any]) -> Prepared:
        depth = case.sizes[0]
        names = [f"{c}{k}" for c in "Wb" for k in range(depth)]
        values = [np.atleast_2d(given[n]).astype("float64") for n in ["x", *names]]
        x, *parameters = (casadi.MX.sym("v", *v.shape) for v in values)
        rows, h = values[0].shape[0], x
        for k in range(depth):
            shift = casadi.repmat(parameters[depth + k], rows, 1)
            h = casadi.tanh(casadi.mtimes(h, parameters[k]) + shift)
        loss = casadi.sumsqr(h) / h.numel()
        gradients = [casadi.gradient(loss, p) for p in parameters]
        f = casadi.Function("f", [x, *parameters], [loss, *gradients])
        given_once = [casadi.DM(v) for v in values]

        def fetch(found: Any) -> dict[str, Any]:
            shapes = [(), *(given[n].shape for n in names)]
            arrays = [a.full().reshape(s) for a, s in zip(found, shapes, strict=True)]
            return dict(zip(["loss", *names], arrays, strict=True))

        return lambda: f(*given_once), fetch
