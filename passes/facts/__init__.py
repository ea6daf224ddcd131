"""What is known of a value without computing it: its range, its zeros, its rows, its shape."""

from symgraph.passes.facts.analysis import Facts
from symgraph.passes.facts.known import Known
from symgraph.passes.facts.rows import one_hot_axes
from symgraph.passes.facts.scales import Span

__all__ = ["Facts", "Known", "Span", "one_hot_axes"]
