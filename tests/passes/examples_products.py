"""Expressions on which the rules of the family products fire."""

from __future__ import annotations

from rule_example import Example

__all__ = ["EXAMPLES"]

EXAMPLES: dict[str, Example] = {}
