"""Attacks on whoever shows a message in a page: the corpus, and the stage on which a browser shows what they do.

`attacks/*.txt` hold one payload a line, a file for each family. Characters that cannot stand in a line are
written as their control pictures (U+2400 to U+241F).
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tests.browser.chromium import Json, ProtocolError, Tab

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from tests.browser.chromium import Chromium

_FILES = Path(__file__).parent / "attacks"
_PICTURES = {0x2400 + code: chr(code) for code in range(0x20)}
_ADDRESS = "http://reader.example/message"
_BROWSERS_OWN = frozenset({_ADDRESS, "http://reader.example/favicon.ico"})
_LOAD_SECONDS = 20

_PAGE = """<!DOCTYPE html><html lang=en><meta charset=utf-8><title>A portal that shows messages</title>
<body><main style="display:flow-root;width:800px;margin:300px">{body}</main></body></html>"""
# Whatever a payload calls to be noticed; `ran` is heard outside the page.
_ALARM = "globalThis.alert = globalThis.confirm = globalThis.prompt = () => globalThis.ran('')"

# Sets off what waits for a reader's hand, reads the body twice more, and looks at what stands in the page.
_PROVOKE = """
(async body => {
  const main = document.querySelector('main')
  if (!main) return ['the page itself is gone']
  const found = []
  const allowed = /^(https?|mailto|tel):$/
  const acting = 'applet,area,audio,base,button,canvas,dialog,embed,form,frame,iframe,input,link,math,meta,noscript,' +
    'object,option,plaintext,script,select,source,style,svg,template,textarea,title,track,video,xmp'
  const look = root => {
    const box = root.getBoundingClientRect()
    for (const element of root.querySelectorAll('*')) {
      const name = element.localName, style = getComputedStyle(element), place = element.getBoundingClientRect()
      if (element.matches(acting) || !/xhtml$/.test(element.namespaceURI)) found.push('element ' + name)
      for (const attribute of element.attributes)
        if (/^on|^(id|name|class|src|srcset|action|ping|target|background|slot|is|form|popover|tabindex|autofocus)$/
          .test(attribute.name)) found.push('attribute ' + attribute.name)
      if (element.matches('a[href]') && !allowed.test(element.protocol)) found.push('link ' + element.protocol)
      if (style.position !== 'static') found.push('position ' + style.position)
      if (/url\\(/.test(element.getAttribute('style'))) found.push('style with a URL')
      const outside = place.left < box.left - 1 || place.top < box.top - 1
      if (place.width && place.height && outside) found.push('outside its box')
      if (place.width > 5000 || place.height > 5000) found.push('too large')
    }
  }
  const again = document.createElement('section')
  again.style.display = 'flow-root'  // as a box with `overflow:auto`, which has room for ruby
  document.body.append(again)
  again.innerHTML = body
  look(main)
  look(again)
  main.innerHTML = main.innerHTML
  for (const element of document.querySelectorAll('main *, section *')) {
    for (const attribute of element.attributes)
      if (/^on/.test(attribute.name)) element.dispatchEvent(new Event(attribute.name.slice(2)))
    if (element.localName !== 'a' || !allowed.test(element.protocol))
      element.dispatchEvent(new MouseEvent('click', {cancelable: true, view: window}))
  }
  await new Promise(done => requestAnimationFrame(() => setTimeout(done, %d)))
  return found
})(%s)
"""


def payloads() -> list[tuple[str, str]]:
    """Return (family, payload) of every attack."""
    return [
        (file.stem, line.translate(_PICTURES))
        for file in sorted(_FILES.glob("*.txt"))
        for line in file.read_text(encoding="utf-8").splitlines()
    ]


@dataclass(slots=True)
class Seen:
    """What a body did in the page: code that ran, requests it made, things that should not stand there."""

    executions: int = 0
    fetches: list[str] = field(default_factory=list)
    trespasses: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.executions or self.fetches or self.trespasses)


class Stage:
    """A page with scripts enabled, whose every request is noticed and answered here: nothing leaves the machine."""

    def __init__(self, tab: Tab) -> None:
        self._tab = tab
        self._page = ""
        self._seen = Seen()
        self._loaded = asyncio.Event()
        self._answers: set[asyncio.Task[None]] = set()
        self._addresses: set[str] = set()

    async def prepare(self) -> None:
        self._tab.listen(self._notice)
        for domain in ("Page", "Runtime", "Network"):
            await self._tab.call(f"{domain}.enable")
        await self._tab.call("Fetch.enable", patterns=[{"urlPattern": "*"}])
        await self._tab.call("Runtime.addBinding", name="ran")
        await self._tab.call("Page.addScriptToEvaluateOnNewDocument", source=_ALARM)

    async def show(self, body: str, *, patience_ms: int = 10) -> Seen:
        """Show a body in the page as its HTML and once more as `innerHTML`, and provoke it."""
        self._page = _PAGE.format(body=body)
        self._seen = Seen()
        self._loaded.clear()
        await self._tab.call("Page.navigate", url=_ADDRESS)
        async with asyncio.timeout(_LOAD_SECONDS):
            await self._loaded.wait()
        try:
            self._seen.trespasses = await self._tab.evaluate(_PROVOKE % (patience_ms, json.dumps(body)))
        except ProtocolError as gone:
            self._seen.trespasses = [f"the page was replaced: {gone}"]
        return self._seen

    def _notice(self, event: str, params: Json) -> None:
        if event == "Runtime.bindingCalled":
            self._seen.executions += 1
        elif event == "Page.javascriptDialogOpening":
            self._seen.executions += 1
            self._later("Page.handleJavaScriptDialog", accept=False)
        elif event == "Network.requestWillBeSent":
            if params["request"]["url"] not in _BROWSERS_OWN:
                self._seen.fetches.append(params["request"]["url"][:100])
        elif event == "Network.webSocketCreated":
            self._seen.fetches.append(params["url"])
        elif event == "Fetch.requestPaused":
            self._answer(params)
        elif event == "Page.loadEventFired":
            self._loaded.set()

    def _answer(self, params: Json) -> None:
        """Answer with the page, with a script to whoever asks for something else, and leave navigation nowhere."""
        request = params["requestId"]
        if params["request"]["url"] == _ADDRESS:
            page = base64.b64encode(self._page.encode("utf-8", "replace")).decode()
            self._later("Fetch.fulfillRequest", requestId=request, responseCode=200, body=page)
        elif params["resourceType"] == "Document":
            self._later("Fetch.fulfillRequest", requestId=request, responseCode=204)
        else:
            script = base64.b64encode(b"alert(1)").decode()
            self._later("Fetch.fulfillRequest", requestId=request, responseCode=200, body=script)

    def _later(self, method: str, **params: object) -> None:
        task = asyncio.create_task(self._call(method, params))
        self._answers.add(task)
        task.add_done_callback(self._answers.discard)

    async def _call(self, method: str, params: Json) -> None:
        with contextlib.suppress(ProtocolError):  # its frame may be gone meanwhile
            await self._tab.call(method, **params)


@contextlib.asynccontextmanager
async def stage(browser: Chromium) -> AsyncIterator[Stage]:
    """Set up a stage in a tab of its own."""
    tab = await browser.tab()
    one = Stage(tab)
    await one.prepare()
    yield one
    await tab.close()


def together(bodies: Iterable[str]) -> str:
    """Return bodies as one, each in a block of its own, as a conversation shows them."""
    return "".join(f"<div>{body}</div>" for body in bodies)
