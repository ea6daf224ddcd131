"""What NumPy's own functions do on tensors: build the graph, or say which symgraph name to use."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import Any

import numpy as np

from symgraph.errors import UnsupportedError

#: NumPy's names that differ from ours.
ALIASES = {
    "absolute": "abs", "fabs": "abs", "true_divide": "divide", "power": "pow", "float_power": "pow",
    "mod": "remainder", "arcsin": "asin", "arccos": "acos", "arctan": "atan", "arctan2": "atan2",
    "arcsinh": "asinh", "arccosh": "acosh", "arctanh": "atanh", "conjugate": "positive",
    "invert": "bitwise_invert", "left_shift": "bitwise_left_shift", "right_shift": "bitwise_right_shift",
    "rint": "round", "around": "round", "concatenate": "concat", "amax": "max", "amin": "min",
    "cumsum": "cumulative_sum", "cumprod": "cumulative_prod", "fix": "trunc", "fmax": "",  "fmin": "",
    "transpose": "transpose", "expand_dims": "expand_dims",
}  # fmt: skip


def _public(name: str) -> Callable[..., Any] | None:
    import symgraph.functions as namespace

    found = getattr(namespace, ALIASES.get(name, name) or "none", None)
    return found if callable(found) and not isinstance(found, type) else None


def _refusal(kind: str, name: str, why: str = "") -> UnsupportedError:
    import symgraph.functions as namespace

    close = difflib.get_close_matches(name, [n for n in vars(namespace) if not n.startswith("_")], 3)
    hint = f"; near names: {', '.join('sg.' + c for c in close)}" if close else ""
    return UnsupportedError(
        f"np.{name} on a symgraph tensor is not supported{why}{hint}; "
        "use functions of the symgraph namespace, or .eval() for a NumPy value"
    )


def call_ufunc(ufunc: Any, method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A NumPy ufunc applied to tensors."""
    name = ufunc.__name__
    reductions = {"add": "sum", "multiply": "prod", "maximum": "max", "minimum": "min",
                  "logical_and": "all", "logical_or": "any"}  # fmt: skip
    if method == "reduce" and name in reductions:
        function = _public(reductions[name])
        allowed = {k: v for k, v in kwargs.items() if k in ("axis", "keepdims")}
        assert function is not None
        return function(inputs[0], **({"axis": 0} | allowed))
    if method != "__call__":
        raise _refusal("ufunc", f"{name}.{method}")
    dtype = kwargs.pop("dtype", None)
    if kwargs:
        raise _refusal("ufunc", name, f" with {', '.join(f'{k}=' for k in kwargs)}")
    function = _public(name)
    if function is None:
        raise _refusal("ufunc", name)
    out = function(*inputs)
    return out if dtype is None else out.astype(dtype)


def call_array_function(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A NumPy function applied to tensors."""
    name = func.__name__
    function = _public(name)
    if function is None:
        raise _refusal("function", name)
    renamed = {"ddof": "correction", "a_min": "min", "a_max": "max"}
    options = {renamed.get(k, k): v for k, v in kwargs.items() if v is not np._NoValue}
    leading = options.pop("a", None)
    positional = args if leading is None else (leading, *args)
    try:
        return function(*positional, **options)
    except TypeError as error:
        if "unexpected keyword" not in str(error) and "positional argument" not in str(error):
            raise
        raise _refusal("function", name, f" with these arguments ({error})") from None
