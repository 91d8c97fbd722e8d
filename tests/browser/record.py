"""Records what Chromium shows of the written messages: `python -m tests.browser.record`.

To be run after a message was added to `tests/unit/corpus/messages/`; the difference is to be read before it
is committed.
"""

from __future__ import annotations

import asyncio
import json
import sys

from tests.browser.chromium import NoBrowserError, chromium
from tests.browser.judge import shown_texts
from tests.unit.corpus import RECORDED, written_messages


async def record() -> int:
    """Write the file of recorded texts anew and return how many it holds."""
    bodies = written_messages()
    async with chromium() as browser:
        texts = await shown_texts(browser, [body.html for body in bodies])
    with RECORDED.open("w", encoding="utf-8") as file:
        for body, text in zip(bodies, texts, strict=True):
            line = {"id": body.id, "shape": body.shape, "html": body.html, "inner_text": text}
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
    return len(bodies)


if __name__ == "__main__":
    try:
        sys.stdout.write(f"{asyncio.run(record())} messages recorded in {RECORDED}\n")
    except NoBrowserError as error:
        sys.exit(str(error))
