"""Element-wise operations share one rule, taken from their trait: see :func:`forms.rule_of`.

Ranks are aligned by axes of size 1 after the batch axis, so that broadcasting means what it meant.
"""
