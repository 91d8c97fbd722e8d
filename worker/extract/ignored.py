"""What does not count as a change of a message: what the operator names in `MIRROR_IGNORE`. Pure.

A source may show something else at each read: an extension with the time of reading, a picture with a newly signed URL.
The resource is stored and shown as it is. Only the comparison of versions leaves these parts out.
"""

from __future__ import annotations

import re
from typing import Any


def without_ignored(resource: dict[str, Any], ignored: tuple[str, ...]) -> dict[str, Any]:
    """Return a resource, decoded, without what is `ignored`.

    A word is a top-level element, which is left out. A URL leaves out extensions whose `url` begins with it, and
    everything after the `?` in URLs that begin with it, anywhere in a text.
    """
    urls = tuple(one for one in ignored if ":" in one)
    kept = {name: value for name, value in resource.items() if name not in ignored}
    if not urls:
        return kept
    query = re.compile(rf"((?:{'|'.join(map(re.escape, urls))})[^\s\"'<>?]*)\?[^\s\"'<>]*")
    stripped: dict[str, Any] = _stripped(kept, urls, query)
    return stripped


def _stripped(value: Any, urls: tuple[str, ...], query: re.Pattern[str]) -> Any:
    # Nested as deep as an entry may be at most (`worker.extract.entry.NESTING_MAX`).
    if isinstance(value, str):
        return query.sub(r"\1", value)
    if isinstance(value, list):
        return [_stripped(one, urls, query) for one in value if not _is_extension_of(one, urls)]
    if isinstance(value, dict):
        fields = {name: _stripped(one, urls, query) for name, one in value.items()}
        return {name: one for name, one in fields.items() if one != [] or value[name] == []}
    return value


def _is_extension_of(value: Any, urls: tuple[str, ...]) -> bool:
    url = value.get("url") if isinstance(value, dict) else None
    return isinstance(url, str) and url.startswith(urls)
