"""The one reader of Markdown: CommonMark with tables, and `$…$` and `$$…$$` formulas."""

from __future__ import annotations

from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline
from mdit_py_plugins.dollarmath import dollarmath_plugin
from mdit_py_plugins.dollarmath.index import math_inline_dollar


def parser() -> MarkdownIt:
    """A parser whose tokens include `math_inline` and `math_block`."""
    parser = MarkdownIt().enable("strikethrough").enable("table")
    dollarmath_plugin(parser, allow_labels=False)
    parser.inline.ruler.at("math_inline", _math_inline)
    return parser


# No digits outside and no spaces inside the dollar signs, so that "$5 and $10" are prices.
_dollar_rule = math_inline_dollar(allow_space=False, allow_digits=False)


def _math_inline(state: StateInline, silent: bool) -> bool:
    """The rule for `$…$`, except where the second dollar sign stands in a code span."""
    start = state.pos
    found = _dollar_rule(state, True)
    end, state.pos = state.pos, start
    return found and "`" not in state.src[start:end] and _dollar_rule(state, silent)
