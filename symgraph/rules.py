"""The rules of the pipelines, to be taken apart and put together: ``sg.rules.default - "exp_log"``.

``strict``, ``default`` and ``fast`` are the sets that the pipelines of the same names use. A set
goes where a pipeline goes: ``sg.function(..., passes=rules)``, ``sg.simplify(x, rules=rules)``.
"""

from __future__ import annotations

from symgraph.passes.canonicalise import RULES as strict
from symgraph.passes.relax import RULES as fast
from symgraph.passes.rules.rule import Match, Rule, RuleWarning
from symgraph.passes.rules.ruleset import RuleSet
from symgraph.passes.specialise import RULES as default

__all__ = ["Match", "Rule", "RuleSet", "RuleWarning", "default", "fast", "strict"]


def __dir__() -> list[str]:
    return list(__all__)
