"""The rules of the pipelines, to be taken apart and put together: ``sg.rules.default - "exp_log"``.

``strict``, ``default`` and ``fast`` are the sets that the pipelines of the same names use. A set
goes where a pipeline goes: ``sg.function(..., passes=rules)``, ``sg.simplify(x, rules=rules)``.
"""

from __future__ import annotations

from symgraph.passes import canonicalise, relax, specialise
from symgraph.passes.rules.rule import Match, Rule, RuleWarning
from symgraph.passes.rules.ruleset import RuleSet

__all__ = ["Match", "Rule", "RuleSet", "RuleWarning", "default", "fast", "strict"]

default: RuleSet
fast: RuleSet
strict: RuleSet

_SETS = {"default": specialise.rules, "fast": relax.rules, "strict": canonicalise.rules}


def __getattr__(name: str) -> RuleSet:
    """The sets, made when first asked for: importing symgraph builds none."""
    if name not in _SETS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return _SETS[name]()


def __dir__() -> list[str]:
    return list(__all__)
