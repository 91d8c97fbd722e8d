"""Whether the rules of `@media` and `@supports` apply: on a screen of 1280 × 800, in a browser of today.

Media Queries 4 §3, CSS Conditional 3 §6. A condition is true, false, or unknown (None), which `not` leaves unknown and
which counts as false.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any, TypeAlias

import tinycss2

from worker.transform.text.css import written
from worker.transform.text.user_agent_css import KEYWORDS, TWO_WORDS

if TYPE_CHECKING:
    from collections.abc import Callable

Tokens: TypeAlias = "list[Any]"
"""Component values of tinycss2, without white space and comments."""

_SIZES: dict[str, Any] = {
    "width": 1280, "height": 800, "device-width": 1280, "device-height": 800,
    "aspect-ratio": Fraction(8, 5), "device-aspect-ratio": Fraction(8, 5),
    "resolution": 1, "-webkit-device-pixel-ratio": 1, "color": 8, "monochrome": 0, "color-index": 0, "grid": 0,
}  # fmt: skip
_LENGTHS = frozenset({"width", "height", "device-width", "device-height"})
_WORDS = {
    "orientation": "landscape", "hover": "hover", "any-hover": "hover", "pointer": "fine", "any-pointer": "fine",
    "prefers-color-scheme": "light", "prefers-reduced-motion": "no-preference", "prefers-contrast": "no-preference",
    "prefers-reduced-transparency": "no-preference", "forced-colors": "none", "inverted-colors": "none",
    "color-gamut": "srgb", "display-mode": "browser", "update": "fast", "overflow-block": "scroll",
    "overflow-inline": "scroll", "scripting": "enabled", "dynamic-range": "standard",
}  # fmt: skip
_ARE_NONE = frozenset({"forced-colors", "inverted-colors"}) | {name for name in _WORDS if name.startswith("prefers-")}
_UNITS = {
    "px": 1, "em": 16, "rem": 16, "ex": 8, "ch": 8, "in": 96, "cm": 96 / 2.54, "mm": 96 / 25.4, "pt": 96 / 72, "pc": 16,
    "dppx": 1, "x": 1, "dpi": 1 / 96, "dpcm": 2.54 / 96, "vw": 12.8, "vh": 8,
}  # fmt: skip
_SCREENS = frozenset({"all", "screen"})
_OF_OTHER_BROWSERS = ("-moz-", "-ms-", "-o-", "mso-", "-khtml-", "-apple-")


def is_for_a_screen(media: str | None) -> bool:
    """Whether a list of media queries holds on a screen. An empty one does."""
    return media_hold(tinycss2.parse_component_value_list(media or ""))


def media_hold(tokens: Tokens) -> bool:
    """Whether one of the media queries between the commas holds."""
    queries = split(tokens)
    return queries == [[]] or any(map(_holds, queries))


def is_supported(tokens: Tokens) -> bool:
    """Whether the condition of an `@supports` holds."""
    return _condition(_bare(tokens), _is_declaration_supported) is True


def split(tokens: Tokens, *, keep_spaces: bool = False) -> list[Tokens]:
    """Return what is between the commas, without white space unless it is kept."""
    parts: list[Tokens] = [[]]
    for token in tokens:
        if token == ",":  # noqa: S105  a token of CSS
            parts.append([])
        else:
            parts[-1].append(token)
    return parts if keep_spaces else list(map(_bare, parts))


def _bare(tokens: Tokens) -> Tokens:
    return [token for token in tokens if token.type not in {"whitespace", "comment"}]


def _word(token: Any) -> str:
    return str(token.lower_value) if token.type == "ident" else ""


def _holds(query: Tokens) -> bool:
    words = [_word(token) for token in query[:2]]
    modifier = words[0] if words and words[0] in {"not", "only"} and words[1:] != [""] else ""
    rest = query[1:] if modifier else query
    medium = _word(rest[0]) if rest else ""
    if not medium or medium == "not":
        return not modifier and _condition(query, _feature) is True
    features = rest[1:]
    if features and (_word(features[0]) != "and" or any(_word(token) == "or" for token in features)):
        return False
    found = _condition(features[1:], _feature) if features else True
    if found is None or medium in {"and", "or", "only"}:
        return False
    holds = medium in _SCREENS and found
    return not holds if modifier == "not" else holds


def _condition(tokens: Tokens, test: Callable[[Tokens], bool | None]) -> bool | None:
    """Evaluate blocks with `not`, or with `and` or `or` between them."""
    if tokens and _word(tokens[0]) == "not":
        found = _in_block(tokens[1], test) if len(tokens) == 2 else None
        return None if found is None else not found
    between = {_word(token) for token in tokens[1::2]}
    if not tokens or len(tokens) % 2 == 0 or not (between <= {"and"} or between <= {"or"}):
        return None
    found_each = [_in_block(token, test) for token in tokens[::2]]
    if between == {"or"}:
        return True if True in found_each else None if None in found_each else False
    return False if False in found_each else None if None in found_each else True


def _in_block(token: Any, test: Callable[[Tokens], bool | None]) -> bool | None:
    if token.type != "() block":
        return True if token.type == "function" and token.lower_name == "selector" else None
    content = _bare(token.content)
    if content and (content[0].type in {"() block", "function"} or _word(content[0]) == "not"):
        return _condition(content, test)
    return test(content)


def _is_declaration_supported(tokens: Tokens) -> bool | None:
    name = _word(tokens[0]) if tokens else ""
    if not name or len(tokens) < 3 or tokens[1] != ":":
        return None
    value = " ".join(written(tokens[2:]).lower().split())
    if name == "display":
        return TWO_WORDS.get(value, value) in KEYWORDS
    return not name.startswith(_OF_OTHER_BROWSERS)


def _feature(tokens: Tokens) -> bool | None:
    """Evaluate `(name)`, `(name: value)` or `(value < name < value)`."""
    name = _word(tokens[0]) if tokens else ""
    if len(tokens) == 1:
        return _is_there(name)
    if tokens[1:2] and tokens[1] == ":":
        return _equals(name, tokens[2:])
    return _in_range(tokens)


def _is_there(name: str) -> bool | None:
    if name in _WORDS:
        return name not in _ARE_NONE or name == "prefers-color-scheme"
    return bool(_SIZES[name]) if name in _SIZES else None


def _equals(name: str, value: Tokens) -> bool | None:
    if name in _WORDS:
        return _word(value[0]) == _WORDS[name] if len(value) == 1 else None
    bound = "min-" if "min-" in name else "max-" if "max-" in name else ""
    plain_name = name.replace(bound, "", 1)
    actual, asked = _SIZES.get(plain_name), _number(value)
    if actual is None or asked is None or (plain_name in _LENGTHS and asked and value[0].type != "dimension"):
        return None
    return bool(actual >= asked if bound == "min-" else actual <= asked if bound else actual == asked)


def _in_range(tokens: Tokens) -> bool | None:
    """Evaluate a range (Media Queries 4 §2.4.3)."""
    sides: list[Any] = [[]]
    for token in tokens:
        if token.type == "literal" and token.value in {"<", ">", "=", "<=", ">="}:
            if token.value == "=" and len(sides) > 1 and not sides[-1] and sides[-2] in {"<", ">"}:
                sides[-2] += "="
            else:
                sides += [token.value, []]
        else:
            sides[-1].append(token)
    values = [_SIZES.get(_word(side[0])) if len(side) == 1 and _word(side[0]) else _number(side) for side in sides[::2]]
    if len(values) == 1 or None in values:
        return None
    pairs = zip(values, sides[1::2], values[1:], strict=False)
    return all(_compare(left, sign, right) for left, sign, right in pairs)


def _compare(left: Any, sign: str, right: Any) -> bool:
    return bool({
        "<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right, "=": left == right,
    }[sign])  # fmt: skip


def _number(tokens: Tokens) -> float | Fraction | None:
    """Return a length in px, a resolution in dppx, a number or a ratio."""
    if len(tokens) == 3 and tokens[1] == "/" and tokens[0].type == tokens[2].type == "number":
        return Fraction(tokens[0].value) / Fraction(tokens[2].value) if tokens[2].value else None
    if len(tokens) != 1:
        return None
    token = tokens[0]
    if token.type == "number":
        return float(token.value)
    if token.type == "dimension" and token.lower_unit in _UNITS:
        return float(token.value) * _UNITS[token.lower_unit]
    return None
