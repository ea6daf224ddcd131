"""LaTeX for expressions, in the notation of mathematics where there is one."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable

import numpy as np

from symgraph.errors import UsageError
from symgraph.names import Names, number_text
from symgraph.ops import OPS, leaves
from symgraph.ops.shape import broadcast_to, expand_dims
from symgraph.printer import spelled_out
from symgraph.spelling import (
    ATOM,
    COMPARE,
    POSTFIX,
    POWER,
    PREFIX,
    PRODUCT,
    SUM,
    Spelling,
    Text,
    spell,
)  # fmt: skip
from symgraph.spelling import (
    INFIX as SIGNS,
)
from symgraph.tensor import Tensor

__all__ = ["latex"]

_LETTERS = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau "
    "upsilon phi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega"
)
GREEK = frozenset(_LETTERS.split())
#: Up to this length an expression is one formula; beyond, parts get names.
ONE_LINE = 300
#: A part that stands in several places gets a name if it is longer than this, any part beyond the
#: second number.
REPEATED, LINE = 30, 120
INFIX = {
    "add": ("+", SUM), "subtract": ("-", SUM), "equal": ("=", COMPARE),
    "not_equal": (r"\neq", COMPARE), "less": ("<", COMPARE), "less_equal": (r"\leq", COMPARE),
    "greater": (">", COMPARE), "greater_equal": (r"\geq", COMPARE),
    "logical_and": (r"\land", COMPARE), "logical_or": (r"\lor", COMPARE),
}  # fmt: skip
#: Functions that LaTeX knows by name.
KNOWN = {
    "exp": r"\exp", "log": r"\log", "sin": r"\sin", "cos": r"\cos", "tan": r"\tan",
    "asin": r"\arcsin", "acos": r"\arccos", "atan": r"\arctan", "sinh": r"\sinh",
    "cosh": r"\cosh", "tanh": r"\tanh", "maximum": r"\max", "minimum": r"\min",
    "sigmoid": r"\sigma", "erf": r"\operatorname{erf}", "erfc": r"\operatorname{erfc}",
}  # fmt: skip
FENCED = {
    "abs": (r"\left|", r"\right|"),
    "floor": (r"\left\lfloor ", r" \right\rfloor"),
    "ceil": (r"\left\lceil ", r" \right\rceil"),
}
REDUCED = {"sum": r"\sum", "prod": r"\prod", "max": r"\max", "min": r"\min"}

# private characters that stand for operands while the text around them is escaped
_OPEN = 0xE000


def latex(expr: Tensor) -> str:
    r"""An expression in LaTeX's mathematical mode.

    Element-wise products of arrays are written with a circled dot, products with a scalar without a
    sign, matrix products side by side; reductions name their axes below; indices stand below as in
    Python, a star for a new axis; what has no sign in mathematics is a named function. A long
    expression becomes an ``aligned`` block whose first lines name the parts, so that the text grows
    linearly with the graph.

    Raises:
        UsageError: not a tensor.

    >>> import symgraph as sg
    >>> x, W = sg.vector("x", shape=3), sg.matrix("W_1", shape=(3, 2))
    >>> b = sg.vector("beta", shape=2)
    >>> print(latex(sg.sum(sg.tanh(x @ W + b) ** 2) / 2))
    \frac{\sum \tanh\left(x\, W_{1} + \beta\right)^{2}}{2}
    """
    if not isinstance(expr, Tensor):
        raise UsageError(f"latex: {expr!r} is not a tensor")
    order, spelled = spelled_out(expr, _spell)
    stem = _free(order)
    lines = _lines(order, spelled, ONE_LINE, ONE_LINE, stem)
    if len(lines) > 1 or len(lines[0]) > ONE_LINE:
        lines = _lines(order, spelled, REPEATED, LINE, stem)
    if len(lines) == 1:
        return lines[0]
    body = " \\\\\n".join([*lines[:-1], f"&{lines[-1]}"])
    return rf"\begin{{aligned}}{chr(10)}{body}{chr(10)}\end{{aligned}}"


def _free(order: list[Tensor]) -> str:
    """A letter for the names of parts that no variable begins with."""
    taken = {_name(n.name).split("_")[0] for n in order if n.name}
    return next((c for c in "tsruwq" if c not in taken), r"\tau")


def _lines(
    order: list[Tensor], spelled: dict[Tensor, Spelling], repeated: int, longest: int, stem: str
) -> list[str]:
    """Lines that name the long parts, and the expression in terms of them."""
    uses = Counter(o for node in order for o in spelled[node].operands)
    texts: dict[Tensor, Text] = {}
    lines: list[str] = []
    for node in order:
        text = spelled[node].join(*[texts[o] for o in spelled[node].operands])
        limit = repeated if uses[node] > 1 else longest
        if len(text.text) > limit and node is not order[-1]:
            name = f"{stem}_{{{len(lines) + 1}}}"
            lines.append(f"{name} &= {text.text}")
            text = Text(name)
        texts[node] = text
    return [*lines, texts[order[-1]].text]


def _within(t: Text, level: int) -> str:
    return t.text if t.level >= level else rf"\left({t.text}\right)"


def _spell(node: Tensor, names: Names) -> Spelling:
    leaf = _leaf(node, names)
    if leaf is not None:
        return Spelling((), lambda: leaf)
    plain = spell(node, names)  # with the operands that NumPy's rules insert left out
    rule = SPELL.get(node.op.name) if OPS.get(node.op.name) is node.op else None
    found = rule(node, plain.operands) if rule is not None else None
    if found is not None:
        return Spelling(plain.operands, found)
    if node.op.elementwise and not node.attrs and node.op.name not in (*SIGNS, *PREFIX):
        return Spelling(plain.operands, _function(rf"\operatorname{{{_plain(node.op.name)}}}"))
    return Spelling(plain.operands, _escaped(plain))


# ---- leaves --------------------------------------------------------------------------------------


def _leaf(node: Tensor, names: Names) -> Text | None:
    if node in names.leaves:
        return Text(_name(names.leaves[node]))
    if node.op is leaves.constant and node.ndim == 0:
        text = _number(number_text(node.attrs["value"][()]))
        return Text(text, SUM if text.startswith("-") else PRODUCT if "^" in text else ATOM)
    if node.op is leaves.size:
        text = re.sub(r"\s*\*\s*", r"\\, ", names.dim(node.attrs["dim"]))
        return Text(_name(text) if text.isidentifier() else text, ATOM if text.isalnum() else SUM)
    return None


def _name(name: str) -> str:
    """``W1`` and ``W_1`` with an index, Greek letters by name, words upright."""
    name = "".join(map(_letter, name))
    found = re.fullmatch(r"([A-Za-z]+?)_?([0-9]+)?(?:_(\w+))?", name)
    if found is None:
        return rf"\mathrm{{{_plain(name)}}}"
    stem, *parts = found.groups()
    if stem in GREEK:
        stem = "\\" + stem
    elif len(stem) > 1:
        stem = rf"\mathrm{{{stem}}}"
    below = [p if p.isdigit() or len(p) == 1 else _upright(p) for p in parts if p]
    index = r",\, ".join(below)
    return rf"{stem}_{{{index}}}" if below else stem


def _letter(c: str) -> str:
    """A Greek letter by its name."""
    _, _, found = unicodedata.name(c, "").partition("GREEK SMALL LETTER ")
    name = found.lower().replace("lamda", "lambda")
    return name if name in GREEK else c


def _upright(text: str) -> str:
    return rf"\mathrm{{{_plain(text)}}}"


def _plain(text: str) -> str:
    text = re.sub(r"([#$%&{}_ ])|\\", lambda m: rf"\{m[1]}" if m[1] else r"\backslash ", text)
    return text.replace("^", r"\wedge ").replace("~", r"\sim ")


def _number(text: str) -> str:
    if text in ("inf", "-inf"):
        return text.replace("inf", r"\infty")
    if text in ("nan", "True", "False"):
        return _upright(text.lower())
    mantissa, _, exponent = text.partition("e")
    if not exponent:
        return text
    power = f"10^{{{int(exponent)}}}"
    return mantissa.replace("1", power) if mantissa in ("1", "-1") else rf"{mantissa} \cdot {power}"


# ---- operations ----------------------------------------------------------------------------------

Join = Callable[..., Text]
Rule = Callable[[Tensor, tuple[Tensor, ...]], Join | None]


def _infix(node: Tensor, shown: tuple[Tensor, ...]) -> Join:
    sign, level = INFIX[node.op.name]
    left, right = level + (level == COMPARE), level + (node.op.name != "add")

    def join(a: Text, b: Text) -> Text:
        signed = b.text.startswith("-")
        return Text(f"{_within(a, left)} {sign} {_within(b, ATOM if signed else right)}", level)

    return join


def _negative(node: Tensor, shown: tuple[Tensor, ...]) -> Join:
    return lambda a: Text(f"-{_within(a, PRODUCT)}", SUM)


def _product(node: Tensor, shown: tuple[Tensor, ...]) -> Join:
    if len(shown) == 2 and shown[0].shape == node.shape and _is_one(shown[1]):
        return lambda a, b: a
    scalar = any(x.ndim == 0 for x in shown)

    def join(a: Text, b: Text) -> Text:
        right = _within(b, POWER)
        sign = r" \odot " if not scalar else r" \cdot " if right[:1].isdigit() else r"\, "
        return Text(f"{_first(a)}{sign}{right}", PRODUCT)

    return join


def _is_one(x: Tensor) -> bool:
    while x.op is broadcast_to:
        x = x.inputs[0]
    return x.op is leaves.constant and bool(np.all(x.attrs["value"] == 1))


def _equal(node: Tensor, shown: tuple[Tensor, ...]) -> Join:
    """Row = column is the unit matrix, which :func:`symgraph.eye` casts to numbers."""
    rows, columns = node.inputs
    unit = columns.op is leaves.iota and rows.op is expand_dims and rows.inputs[0] is columns
    if unit and rows.shape[-1] == 1:
        return lambda *shown: Text(r"\mathbf{I}")
    return _infix(node, shown)


def _cast(node: Tensor, shown: tuple[Tensor, ...]) -> Join | None:
    """Only the cast of a unit matrix goes without saying."""
    same = node.inputs[0]
    unit = same.op.name == "equal" and _equal(same, same.inputs)(Text(""), Text(""))
    return (lambda *shown: unit) if unit and unit.text == r"\mathbf{I}" else None


def _first(a: Text) -> str:
    """The first factor; a reduction would take what follows for its own."""
    reduces = a.level == PRODUCT and a.text.startswith(tuple(REDUCED.values()))
    return _within(a, ATOM if reduces else PRODUCT)


def _matmul(node: Tensor, shown: tuple[Tensor, ...]) -> Join | None:
    if len(shown) != 2:
        return None
    return lambda a, b: Text(rf"{_first(a)}\, {_within(b, POWER)}", PRODUCT)


def _squeeze(node: Tensor, shown: tuple[Tensor, ...]) -> Join | None:
    """Vectors in a product stay vectors; an axis of one element is no matter of mathematics."""
    if len(shown) == 2:
        return _matmul(node, shown)
    return (lambda a: a) if shown[0] is node.inputs[0] else None


def _fraction(node: Tensor, shown: tuple[Tensor, ...]) -> Join:
    return lambda a, b: Text(rf"\frac{{{a.text}}}{{{b.text}}}", POWER)


def _floored(node: Tensor, shown: tuple[Tensor, ...]) -> Join:
    left, right = FENCED["floor"]
    return lambda a, b: Text(rf"{left}\frac{{{a.text}}}{{{b.text}}}{right}")


def _reciprocal(node: Tensor, shown: tuple[Tensor, ...]) -> Join:
    return lambda a: Text(rf"\frac{{1}}{{{a.text}}}", POWER)


def _power(node: Tensor, shown: tuple[Tensor, ...]) -> Join:
    return lambda a, b: Text(f"{_within(a, POSTFIX)}^{{{b.text}}}", POWER)


def _square(node: Tensor, shown: tuple[Tensor, ...]) -> Join:
    return lambda a: Text(f"{_within(a, POSTFIX)}^{{2}}", POWER)


def _sqrt(node: Tensor, shown: tuple[Tensor, ...]) -> Join:
    return lambda a: Text(rf"\sqrt{{{a.text}}}")


def _fence(node: Tensor, shown: tuple[Tensor, ...]) -> Join:
    left, right = FENCED[node.op.name]
    return lambda a: Text(f"{left}{a.text}{right}")


def _call(node: Tensor, shown: tuple[Tensor, ...]) -> Join:
    return _function(KNOWN[node.op.name])


def _function(name: str) -> Join:
    return lambda *t: Text(rf"{name}\left({', '.join(x.text for x in t)}\right)", POSTFIX)


def _where(node: Tensor, shown: tuple[Tensor, ...]) -> Join:
    def join(c: Text, a: Text, b: Text) -> Text:
        rows = rf"{a.text} & \text{{if }} {c.text} \\ {b.text} & \text{{otherwise}}"
        return Text(rf"\begin{{cases}} {rows} \end{{cases}}", SUM)

    return join


def _axes(node: Tensor, rank: int) -> str:
    axis = node.attrs["axis"]
    if len(axis) == rank:
        return ""
    return rf"_{{\text{{axis }}{', '.join(map(str, axis))}}}"


def _reduction(node: Tensor, shown: tuple[Tensor, ...]) -> Join:
    sign = REDUCED[node.op.name] + _axes(node, node.inputs[0].ndim)
    return lambda a: Text(f"{sign} {_within(a, PRODUCT)}", PRODUCT)


def _rowwise(node: Tensor, shown: tuple[Tensor, ...]) -> Join:
    name = rf"\operatorname{{{_plain(node.op.name)}}}{_axes(node, node.inputs[0].ndim)}"
    return lambda a: Text(rf"{name}\left({a.text}\right)", POSTFIX)


def _expand_dims(node: Tensor, shown: tuple[Tensor, ...]) -> Join | None:
    """A reduction that keeps its axes reads like one that does not."""
    x = node.inputs[0]
    if x.op.name in REDUCED and x.attrs["axis"] == node.attrs["axes"] and shown[0] is not x:
        return _reduction(x, shown)
    return None


def _transpose(node: Tensor, shown: tuple[Tensor, ...]) -> Join | None:
    axes = node.attrs["axes"]
    plain = tuple(range(len(axes)))
    if len(shown) != 1 or axes != (*plain[:-2], *plain[:-3:-1]):
        return None
    return lambda a: Text(rf"{_within(a, POSTFIX)}^{{\top}}", POWER)


#: Operations with a notation of their own; None falls back to the text for people, escaped.
SPELL: dict[str, Rule] = {
    **dict.fromkeys(INFIX, _infix), **dict.fromkeys(KNOWN, _call),
    **dict.fromkeys(FENCED, _fence), **dict.fromkeys(REDUCED, _reduction),
    "negative": _negative, "multiply": _product, "divide": _fraction, "reciprocal": _reciprocal,
    "floor_divide": _floored, "equal": _equal, "astype": _cast,
    "pow": _power, "square": _square, "sqrt": _sqrt, "where": _where, "matmul": _matmul,
    "squeeze": _squeeze, "expand_dims": _expand_dims, "permute_dims": _transpose,
    **dict.fromkeys(("softmax", "log_softmax", "logsumexp", "argmax", "argmin"), _rowwise),
    **dict.fromkeys(("any", "all", "max_and_argmax"), _rowwise),
}  # fmt: skip


def _escaped(plain: Spelling) -> Join:
    """The text for people: function names upright, indices below, operands in LaTeX."""

    def join(*texts: Text) -> Text:
        marks = [Text(chr(_OPEN + k), t.level) for k, t in enumerate(texts)]
        found = plain.join(*marks)
        text, level = found.text, found.level
        indexed, placed = INDEXED.fullmatch(text), PLACED.fullmatch(text)
        filled = FILLED.fullmatch(text)
        if filled is not None:
            digit, dims = "01"[filled[1] == "ones"], filled[2].replace(", ", r" \times ")
            text, level = rf"\mathbf{{{digit}}}_{{{dims}}}", POSTFIX
        elif indexed is not None:
            text, level = rf"{{{indexed[1]}}}_{{{_below(indexed[2])}}}", POSTFIX
        elif placed is not None:
            text, level = _written(*placed.groups()), POSTFIX
        text = _signs(text)
        for k, t in enumerate(texts):
            shown = _within(t, POSTFIX) if indexed is not None and k == 0 else t.text
            text = text.replace(chr(_OPEN + k), shown)
        return Text(re.sub(r"^\{([A-Za-z]|\\[a-z]+)\}_", r"\1_", text), level)

    return join


#: ``x[1:]``, ``zeros((n, 3))``, and ``zeros(n).at[1:].set(x)`` or ``x.at[i].add(v)``.
INDEXED = re.compile(rf"\(?({chr(_OPEN)})\)?\[(.*)\]")
FILLED = re.compile(r"(zeros|ones)\(\(?([^()]*)\)?\)")
PLACED = re.compile(r"(.*)\.at\[(.*)\]\.(add|set)\((.*)\)")


def _below(index: str) -> str:
    """An index as a subscript; a new axis is a star."""
    return index.replace("None", r"\ast").replace(", ", r",\, ")


def _written(base: str, index: str, how: str, value: str) -> str:
    """A value written into zeros, or added to or put in the place of elements of an array."""
    if base.startswith("zeros("):
        return rf"\operatorname{{place}}_{{{_below(index)}}}\left({value}\right)"
    return rf"\operatorname{{{how}}}_{{{_below(index)}}}\left({base}, {value}\right)"


def _signs(text: str) -> str:
    """Python's names and signs in LaTeX."""
    text = re.sub(
        r"(?<![\\{A-Za-z])([A-Za-z]\w*)(?=\()", lambda m: rf"\operatorname{{{_plain(m[1])}}}", text
    )
    text = re.sub(r"(?<![\\{A-Za-z])([a-z]\w+)(?==)", lambda m: rf"\mathrm{{{_plain(m[1])}}}", text)
    text = re.sub(r"(?<=\w)\*\*(\w+)", r"^{\1}", text)
    text = re.sub(r"(?<=[\w}])\*(?=\w)", r"\\, ", text)
    words = r"(?<![\\{])\b(True|False|(?:float|u?int)[0-9]+)\b(?!\()"
    text = re.sub(words, lambda m: _upright(m[1].lower()), text)
    return text.replace("%", r"\bmod").replace("&", r"\land").replace("~", r"\lnot ")
