"""Answers that are spoiled on their way, or never come. Each kind takes the moment and returns what is sent."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiohttp import web

from tests.faults.faults_moment import documented_refusal, json_answer
from worker.sandbox.refusals import operation_outcome

if TYPE_CHECKING:
    from tests.faults.faults_moment import Moment

DRIP_EVERY_S = 0.03
LOOK_EVERY_S = 0.02
PAUSE_S = 7
HTML = b"<!DOCTYPE html><html><body><h1>Please stand by</h1></body></html>"


async def unauthorized(_moment: Moment) -> web.StreamResponse:
    """Refuse with 401 though the token is good."""
    return documented_refusal(401)


async def expired_tokens(moment: Moment) -> web.StreamResponse:
    """Let the token in use expire now: this request and all later ones with it are refused."""
    if "Authorization" in moment.request.headers:
        moment.faults.expired.add(moment.request.headers["Authorization"])
    return await moment.answer()


async def throttled(_moment: Moment) -> web.StreamResponse:
    """Answer 429 without a word on when to come back."""
    return web.Response(status=429)


async def throttled_with_pause(_moment: Moment) -> web.StreamResponse:
    """Answer 429 with `Retry-After` in seconds."""
    return web.Response(status=429, headers={"Retry-After": str(PAUSE_S)})


async def internal_error(_moment: Moment) -> web.StreamResponse:
    """Answer 500 with an OperationOutcome."""
    return json_answer(operation_outcome("exception", "Internal server error"), 500)


async def bad_gateway(_moment: Moment) -> web.StreamResponse:
    """Answer 502 with an HTML page, as a proxy writes it."""
    return web.Response(body=HTML, status=502, content_type="text/html")


async def unavailable(_moment: Moment) -> web.StreamResponse:
    """Answer 503 with nothing in it."""
    return web.Response(status=503)


async def html_instead(_moment: Moment) -> web.StreamResponse:
    """Answer 200 with an HTML page."""
    return web.Response(body=HTML, content_type="text/html")


async def outcome_instead(_moment: Moment) -> web.StreamResponse:
    """Answer 200 with an OperationOutcome."""
    return json_answer(operation_outcome("transient", "Try again"))


async def blocked(moment: Moment) -> web.StreamResponse:
    """Answer this request and the next seven 403 with an HTML page, as a firewall does for a while."""
    moment.faults.blocked_up_to = moment.number + 7
    return blocked_page()


async def blocked_in_silence(_moment: Moment) -> web.StreamResponse:
    """Answer 403 with nothing in it."""
    return web.Response(status=403)


async def nothing_behind(_moment: Moment) -> web.StreamResponse:
    """Answer 404 in words of its own, as an ingress does that has lost the server behind it."""
    return web.Response(text="default backend - 404", status=404)


async def request_timeout(_moment: Moment) -> web.StreamResponse:
    """Answer 408 with nothing in it."""
    return web.Response(status=408)


async def truncated(moment: Moment) -> web.StreamResponse:
    """Cut the body in the middle, its length as announced."""
    answer = await moment.answer()
    body = _body(answer)
    return web.Response(body=body[: len(body) // 2], status=answer.status, content_type="application/fhir+json")


async def reset_in_body(moment: Moment) -> web.StreamResponse:
    """Break the connection in the middle of the body."""
    body = _body(await moment.answer())
    response = await _begin(moment, len(body))
    await response.write(body[: len(body) // 2])
    if moment.request.transport is not None:
        moment.request.transport.abort()
    return response


async def dripping(moment: Moment) -> web.StreamResponse:
    """Send the body a byte at a time, for ever as it were."""
    body = _body(await moment.answer())
    response = await _begin(moment, len(body))
    for byte in body:
        if moment.request.transport is None or moment.request.transport.is_closing():
            break
        await response.write(bytes([byte]))
        await asyncio.sleep(DRIP_EVERY_S)
    return response


async def never_answers(moment: Moment) -> web.StreamResponse:
    """Accept the request and say nothing until the client hangs up."""
    while moment.request.transport is not None:  # noqa: ASYNC110 - aiohttp has no event for a client that hangs up
        await asyncio.sleep(LOOK_EVERY_S)
    return web.Response()


def blocked_page() -> web.Response:
    """Return what a firewall says."""
    return web.Response(body=HTML, status=403, content_type="text/html")


KINDS = (
    unauthorized,
    expired_tokens,
    throttled,
    throttled_with_pause,
    internal_error,
    bad_gateway,
    unavailable,
    html_instead,
    outcome_instead,
    blocked,
    blocked_in_silence,
    nothing_behind,
    request_timeout,
    truncated,
    reset_in_body,
    dripping,
    never_answers,
)


def _body(answer: web.StreamResponse) -> bytes:
    return answer.body if isinstance(answer, web.Response) and isinstance(answer.body, bytes) else b""


async def _begin(moment: Moment, length: int) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/fhir+json", "Content-Length": str(length)})
    await response.prepare(moment.request)
    return response
