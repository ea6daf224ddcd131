"""The contracts of rules: what a rewrite keeps in floating point."""

__all__ = ["CONTRACTS", "EXACT", "FINITE_ONLY", "NORMWISE", "ROUNDING", "STABILISING"]

#: Bit for bit on every input, signed zeros and infinities included (any NaN equals any NaN).
EXACT = "exact"
#: Equal in real arithmetic, ``ulps`` apart (a zero may change its sign); finite results stay
#: finite.
ROUNDING = "rounding"
#: Like rounding; where finite inputs overflow, underflow or cancel on the way, the right value
#: instead,
#: and where an infinite input gave NaN, possibly the limit.
STABILISING = "stabilising"
#: Regrouped sums and products, with an error bound in norms.
NORMWISE = "normwise"
#: True in real arithmetic, but a NaN or infinity that the inputs deserve may become a number.
FINITE_ONLY = "finite-only"

CONTRACTS = (EXACT, ROUNDING, STABILISING, NORMWISE, FINITE_ONLY)
