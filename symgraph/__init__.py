"""symgraph: a symbol-to-symbol graph compiler for tensor expressions.

Declare variables, combine them with NumPy-like functions, ask for derivatives (which are ordinary
expressions), and compile them to native code.

>>> import numpy as np
>>> x = vector("x")
>>> g = grad(sum(exp(x)), x)
>>> f = function([x], g)
>>> f(np.zeros(2))
array([1., 1.])
"""

import importlib as _importlib
from typing import TYPE_CHECKING

from symgraph import errors, nn, optim
from symgraph import functions as _functions
from symgraph.compile import evaluate_tensor, function
from symgraph.explain import explain
from symgraph.functions import *
from symgraph.functions import __all__ as _names
from symgraph.graph import Graph
from symgraph.latex import latex
from symgraph.op import Derivative, Op
from symgraph.passes.build_grad import build_grad
from symgraph.passes.gradient import grad, hvp, jvp, vjp
from symgraph.passes.jacobian import hessian, jacobian
from symgraph.passes.pipeline import PIPELINES
from symgraph.passes.simplify import simplify
from symgraph.passes.trace import Rewrite
from symgraph.printer import diff, pprint
from symgraph.program import Function
from symgraph.tensor import Tensor
from symgraph.verify_grad import verify_grad

if TYPE_CHECKING:  # loaded when first asked for
    from symgraph import rules
    from symgraph.passes.rules.made import rule
else:

    def __getattr__(name):
        """``rules`` and ``rule``: a program that is known already needs neither."""
        if name == "rules":
            return _importlib.import_module("symgraph.rules")
        if name == "rule":
            return _importlib.import_module("symgraph.passes.rules.made").rule
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__version__ = "0.1.0"

# What the methods Tensor.eval and Tensor.__str__ call.
vars(_functions).update(evaluate_tensor=evaluate_tensor, pprint_tensor=pprint)

__all__ = [
    *_names, "Derivative", "Function", "Graph", "Op", "PIPELINES", "Rewrite", "Tensor",
    "build_grad", "diff", "errors", "explain", "function", "grad", "hessian", "hvp", "jacobian",
    "jvp", "latex", "nn", "optim", "pprint", "rule", "rules", "simplify", "verify_grad", "vjp",
]  # fmt: skip

#: What tensors' own methods look up among the functions; nothing to call by name.
_PROTOCOL = frozenset(("call_array_function", "call_ufunc", "getitem"))


def __dir__() -> list[str]:
    """The public names; the package's own modules are left out."""
    dunders = [n for n in globals() if n.startswith("__")]
    return sorted([*(set(__all__) - _PROTOCOL), *dunders])
