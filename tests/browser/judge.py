"""What a browser shows: the `innerText` of bodies, read by Chromium itself."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.browser.chromium import Chromium

# Nothing of a body runs and nothing is fetched, but the scripting flag stays on, so `noscript` is not shown.
_PAGE = (
    "<!DOCTYPE html><meta http-equiv=Content-Security-Policy content=\"default-src 'none'; style-src 'unsafe-inline'\">"
    "<body>"
)
_READ = """
(bodies => {
  const box = document.createElement('div')
  box.style.width = '800px'
  document.body.replaceChildren(box)
  return bodies.map(body => { box.innerHTML = body; return box.innerText })
})(%s)
"""
_BATCH = 250


async def shown_texts(browser: Chromium, bodies: Sequence[str]) -> list[str]:
    """Return the `innerText` of each body as the `innerHTML` of a `<div>`, 800 px wide.

    It stands in an empty page, on a screen of 1280 × 800.
    """
    tab = await browser.tab()
    await tab.call("Emulation.setDeviceMetricsOverride", width=1280, height=800, deviceScaleFactor=1, mobile=False)
    await tab.show(_PAGE)
    texts: list[str] = []
    for start in range(0, len(bodies), _BATCH):
        texts += await tab.evaluate(_READ % json.dumps(bodies[start : start + _BATCH]))
    await tab.close()
    return texts
