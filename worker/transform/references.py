"""The four references that serialised HTML has in its texts: HTML standard §13.3, "escaping a string"."""

from __future__ import annotations


def decoded(text: str) -> str:
    """Write out the references of serialised text, `&amp;` last: what it stands for begins no other."""
    if "&" not in text:
        return text
    return text.replace("&nbsp;", "\xa0").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
