"""What NumPy's own functions do on tensors: build the graph, or say which symgraph name to use."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import Any

import numpy as np

from symgraph.errors import UnsupportedError, UsageError

__all__ = ["call_array_function", "call_ufunc"]

#: NumPy's ufuncs whose names differ from ours; the others go by their own.
UFUNCS = {
    "absolute": "abs", "true_divide": "divide", "power": "pow", "mod": "remainder",
    "arcsin": "asin", "arccos": "acos", "arctan": "atan", "arctan2": "atan2", "arcsinh": "asinh",
    "arccosh": "acosh", "arctanh": "atanh", "conjugate": "positive", "invert": "bitwise_invert",
    "left_shift": "bitwise_left_shift", "right_shift": "bitwise_right_shift", "rint": "round",
}  # fmt: skip

#: The ufuncs whose ``reduce`` and ``accumulate`` we have.
REDUCTIONS = {
    "add": "sum", "multiply": "prod", "maximum": "max", "minimum": "min", "logical_and": "all",
    "logical_or": "any",
}  # fmt: skip
RUNNING = {"add": "cumulative_sum", "multiply": "cumulative_prod"}

#: Our name and NumPy's parameters in NumPy's order: ``/p`` is passed by position, ``p>q`` as q,
#: ``!p`` must be left out.
FUNCTIONS = {
    "sum": "sum /a axis dtype !out keepdims !initial !where",
    "prod": "prod /a axis dtype !out keepdims !initial !where",
    "mean": "mean /a axis !dtype !out keepdims !where",
    "var": "var /a axis !dtype !out ddof>correction keepdims !where !mean correction",
    "std": "std /a axis !dtype !out ddof>correction keepdims !where !mean correction",
    "max": "max /a axis !out keepdims !initial !where",
    "min": "min /a axis !out keepdims !initial !where",
    "amax": "max /a axis !out keepdims !initial !where",
    "amin": "min /a axis !out keepdims !initial !where",
    "argmax": "argmax /a axis !out keepdims",
    "argmin": "argmin /a axis !out keepdims",
    "any": "any /a axis !out keepdims !where",
    "all": "all /a axis !out keepdims !where",
    "count_nonzero": "count_nonzero /a axis keepdims",
    "cumsum": "cumulative_sum /a axis dtype !out",
    "cumprod": "cumulative_prod /a axis dtype !out",
    "cumulative_sum": "cumulative_sum /x axis dtype !out include_initial",
    "cumulative_prod": "cumulative_prod /x axis dtype !out include_initial",
    "clip": "clip /a a_min>min a_max>max !out min max !dtype",
    "round": "round /a !decimals !out",
    "around": "round /a !decimals !out",
    "fix": "trunc /x !out",
    "nan_to_num": "nan_to_num /x !copy nan !posinf !neginf",
    "where": "where /condition /x /y",
    "reshape": "reshape /a /shape !order !copy",
    "transpose": "transpose /a axes",
    "permute_dims": "permute_dims /a axes",
    "matrix_transpose": "matrix_transpose /x",
    "moveaxis": "moveaxis /a /source /destination",
    "swapaxes": "swapaxes /a /axis1 /axis2",
    "squeeze": "squeeze /a axis",
    "expand_dims": "expand_dims /a axis",
    "broadcast_to": "broadcast_to /array /shape !subok",
    "broadcast_arrays": "broadcast_arrays *",
    "concatenate": "concat /arrays axis !out !dtype !casting",
    "stack": "stack /arrays axis !out !dtype !casting",
    "split": "split /ary /indices_or_sections axis",
    "flip": "flip /m axis",
    "roll": "roll /a /shift axis",
    "tile": "tile /A /reps",
    "repeat": "repeat /a /repeats axis",
    "pad": "pad /array /pad_width mode constant_values",
    "tril": "tril /m k",
    "triu": "triu /m k",
    "diag": "diag /v !k",
    "trace": "trace /a offset !axis1 !axis2 !dtype !out",
    "take": "take /a /indices axis !out !mode",
    "take_along_axis": "take_along_axis /arr /indices axis",
    "dot": "dot /a /b !out",
    "outer": "outer /a /b !out",
    "tensordot": "tensordot /a /b axes",
    "einsum": "einsum *",
    "zeros_like": "zeros_like /a dtype !order !subok !shape !device",
    "ones_like": "ones_like /a dtype !order !subok !shape !device",
    "full_like": "full_like /a /fill_value dtype !order !subok !shape !device",
}

#: What to write instead of functions we do not have under any name.
INSTEAD = {
    "fmax": "sg.maximum (NaN wins)", "fmin": "sg.minimum (NaN wins)", "fabs": "sg.abs",
    "float_power": "sg.pow", "divmod": "sg.floor_divide and sg.remainder",
    "logaddexp2": "sg.logaddexp",
    "heaviside": "sg.where(x < 0, 0, 1)", "fmod": "sg.remainder (sign of x2)",
    "average": "sg.sum(w * x) / sg.sum(w)", "ptp": "sg.max(x) - sg.min(x)",
    "diff": "x[1:] - x[:-1]", "append": "sg.concat", "hstack": "sg.concat",
    "vstack": "sg.concat or sg.stack", "dstack": "sg.concat or sg.stack",
    "column_stack": "sg.stack(..., axis=1)", "block": "sg.concat", "array_split": "sg.split",
    "hsplit": "sg.split", "vsplit": "sg.split", "ravel": "x.flatten()", "copyto": "sg.where",
    "put": "x.at[index].set(v)", "put_along_axis": "x.at[index].set(v)",
    "fill_diagonal": "sg.where(sg.eye(n, dtype='bool'), v, x)", "delete": "sg.take",
    "insert": "sg.concat", "nonzero": "a mask as index, x[mask]",
    "argwhere": "a mask as index, x[mask]", "flatnonzero": "a mask as index, x[mask]",
    "extract": "a mask as index, x[mask]", "compress": "a mask as index, x[mask]",
    "select": "sg.where", "choose": "sg.where", "isclose": "sg.abs(a - b) <= tolerance",
    "allclose": "sg.all(sg.abs(a - b) <= tolerance)", "array_equal": "sg.all(a == b)",
    "nansum": "sg.sum(sg.nan_to_num(x))", "inner": "sg.vecdot or sg.tensordot",
    "vdot": "sg.vecdot", "kron": "sg.einsum and sg.reshape", "cross": "sg.einsum",
    "diagonal": "sg.diag", "linalg.norm": "sg.norm(x, axis=...)", "linalg.multi_dot": "@",
    "rollaxis": "sg.moveaxis", "rot90": "sg.flip and x.T", "fliplr": "sg.flip(x, axis=1)",
    "flipud": "sg.flip(x, axis=0)", "empty_like": "sg.zeros_like", "eye": "sg.eye",
    "linspace": "sg.linspace", "copy": "x itself (tensors are values)",
    "apply_along_axis": "array operations with axis=", "vectorize": "array operations",
    "add.outer": "x[:, None] + y", "subtract.outer": "x[:, None] - y",
    "multiply.outer": "sg.outer", "add.at": "x.at[index].add(v)", "copysign": "sg.where",
    "atleast_1d": "sg.reshape", "atleast_2d": "sg.reshape",
}  # fmt: skip

_FACTS = {"shape": "shape", "ndim": "ndim", "size": "size"}


def _namespace() -> Any:
    import symgraph.functions as namespace

    return namespace


def _public(name: str) -> Callable[..., Any] | None:
    namespace = _namespace()
    return getattr(namespace, name) if name in namespace.__all__ else None


def _refusal(name: str, why: str = "") -> UnsupportedError:
    cure = INSTEAD.get(name)
    if cure is None:
        close = difflib.get_close_matches(name, _namespace().__all__, 3, cutoff=0.85)
        cure = ", ".join(f"sg.{c}" for c in close) or "functions of sg, the symgraph namespace"
    return UnsupportedError(
        f"np.{name} on a symgraph tensor is not supported{why}; use {cure}, or .eval() for a NumPy "
        "value"
    )


def call_ufunc(ufunc: Any, method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A NumPy ufunc applied to tensors: the graph, or UnsupportedError."""
    name = ufunc.__name__
    given = {k: v for k, v in kwargs.items() if v is not np._NoValue}
    options = {k: v for k, v in given.items() if v is not None or k == "axis"}
    if method in ("reduce", "accumulate"):
        return _call_reduction(name, method, inputs, options)
    if method != "__call__":
        raise _refusal(f"{name}.{method}")
    function, dtype = _public(UFUNCS.get(name, name)), options.pop("dtype", None)
    if function is None or options:
        raise _refusal(name, f" with {', '.join(f'{k}=' for k in options)}" if options else "")
    out = function(*inputs)
    return out if dtype is None else out.astype(dtype)


def _call_reduction(
    name: str, method: str, inputs: tuple[Any, ...], options: dict[str, Any]
) -> Any:
    table = REDUCTIONS if method == "reduce" else RUNNING
    known = {"axis", "keepdims", "dtype"} if method == "reduce" else {"axis", "dtype"}
    if name not in table or not options.keys() <= known or len(inputs) != 1:
        raise _refusal(f"{name}.{method}")
    function = _public(table[name])
    assert function is not None
    return function(inputs[0], **({"axis": 0} | options))


def call_array_function(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A NumPy function applied to tensors: the graph, or UnsupportedError."""
    name = f"{func.__module__}.{func.__name__}".removeprefix("numpy.")
    if name in _FACTS and len(args) == 1 and not kwargs:
        return getattr(args[0], _FACTS[name])
    if name not in FUNCTIONS:
        raise _refusal(name)
    ours, *parameters = FUNCTIONS[name].split()
    function = _public(ours)
    assert function is not None
    if parameters == ["*"]:
        return _call_plain(function, name, args, kwargs)
    positional, options = _arguments(name, parameters, args, kwargs)
    return _call_plain(function, name, positional, options)


def _call_plain(
    function: Callable[..., Any], name: str, args: tuple[Any, ...], options: dict[str, Any]
) -> Any:
    try:
        return function(*args, **options)
    except UsageError:
        raise
    except TypeError as error:
        if "argument" not in str(error) or error.__traceback__ is None:
            raise
        if error.__traceback__.tb_next is not None:  # raised inside, not by the call
            raise
        raise _refusal(name, f" with these arguments ({error})") from None


def _arguments(
    name: str, parameters: list[str], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """NumPy's arguments as ours: by position, and by keyword."""
    plain = [p.lstrip("/!").partition(">")[0] for p in parameters]
    given = dict(zip(plain, args, strict=False)) | kwargs
    if len(args) > len(plain):
        raise _refusal(name, f" with {len(args)} arguments")
    if not given.keys() <= set(plain):
        raise _refusal(name, f" with {', '.join(f'{k}=' for k in given if k not in plain)}")
    positional: list[Any] = []
    options: dict[str, Any] = {}
    for parameter, key in zip(parameters, plain, strict=True):
        value = given.get(key, np._NoValue)
        if value is np._NoValue or (value is None and not parameter.startswith("/")):
            if key in given and key == "axis":
                options[key] = None  # axis=None means something: all of them
        elif parameter.startswith("!"):
            raise _refusal(name, f" with {key}=")
        elif parameter.startswith("/"):
            positional.append(value)
        else:
            options[parameter.partition(">")[2] or key] = value
    return tuple(positional), options
