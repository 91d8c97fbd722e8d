"""Bundles that lie. What is no Bundle — a token, a refusal — goes through as it is."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any

from tests.faults.faults_moment import bundle_of, json_answer
from worker.sandbox.searchset import find_practitioners

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiohttp import web

    from tests.faults.faults_moment import Moment

    Fault = Callable[[Moment], Awaitable[web.StreamResponse]]

Bundle = dict[str, Any]


def _on_pages(spoil: Callable[[Bundle, Moment], None]) -> Fault:
    """Make a fault of a function that changes a Bundle in place."""

    @wraps(spoil)
    async def fault(moment: Moment) -> web.StreamResponse:
        answer = await moment.answer()
        bundle = bundle_of(answer)
        if bundle is None:
            return answer
        spoil(bundle, moment)
        return json_answer(bundle)

    return fault


@_on_pages
def entry_repeated(bundle: Bundle, _moment: Moment) -> None:
    """Show the page's first entry twice, the second time instead of the last."""
    if entries := bundle.get("entry"):
        entries[-1] = entries[0]


@_on_pages
def entry_added_twice(bundle: Bundle, _moment: Moment) -> None:
    """Show the page's last entry twice, besides all others."""
    if entries := bundle.get("entry"):
        entries.append(entries[-1])


@_on_pages
def entry_skipped(bundle: Bundle, moment: Moment) -> None:
    """Leave one entry of the page out."""
    if entries := bundle.get("entry"):
        del entries[moment.chance.randrange(len(entries))]


@_on_pages
def total_too_high(bundle: Bundle, _moment: Moment) -> None:
    """Count one more than there are."""
    bundle["total"] = bundle.get("total", 0) + 1


@_on_pages
def total_too_low(bundle: Bundle, _moment: Moment) -> None:
    """Count one less than there are; where there are none, do not count at all."""
    if bundle.get("total"):
        bundle["total"] -= 1
    else:
        bundle.pop("total", None)


@_on_pages
def filters_ignored(bundle: Bundle, moment: Moment) -> None:
    """Show everything there is, on one page, whoever was asked for."""
    clinic = moment.clinic
    everything: dict[str, list[dict[str, Any]]] = {
        "/Communication": list(clinic),
        "/Practitioner": [person.resource() for person in clinic.practitioners.values()],
        "/Patient": [person.resource() for person in clinic.patients.values()],
    }
    resources = everything[moment.request.path]
    bundle |= {"total": len(resources), "entry": [{"resource": resource} for resource in resources]}
    _drop_next(bundle)


@_on_pages
def roster_filters_ignored(bundle: Bundle, moment: Moment) -> None:
    """List the active and schedulable practitioners, on one page, whatever the parameters; heed other searches."""
    if moment.request.path != "/Practitioner":
        return
    listed = [one.resource() for one in find_practitioners(moment.clinic, [])]
    bundle |= {"total": len(listed), "entry": [{"resource": resource} for resource in listed]}
    _drop_next(bundle)


@_on_pages
def next_missing(bundle: Bundle, _moment: Moment) -> None:
    """Do not say that there are more pages."""
    _drop_next(bundle)


@_on_pages
def next_loops(bundle: Bundle, moment: Moment) -> None:
    """Let `next` lead to this very page."""
    _set_next(bundle, str(moment.request.rel_url))


@_on_pages
def next_foreign(bundle: Bundle, moment: Moment) -> None:
    """Let `next` lead to another server."""
    _set_next(bundle, f"https://elsewhere.invalid{moment.request.rel_url}")


async def page_cap_changed(moment: Moment) -> web.StreamResponse:
    """Put half as many entries on a page from now on; after one, three."""
    faults = moment.faults
    faults.page_max = faults.page_max // 2 or faults.page_max * 2 + 1
    return await moment.answer()


async def nothing_found(moment: Moment) -> web.StreamResponse:
    """Answer `total` 0 to this search though there is something: a lie that one answer cannot betray."""
    if "_id" in moment.request.query:
        moment.faults.denied.add(moment.request.query["_id"])
    return emptied(await moment.answer())


async def scope_shrunk(moment: Moment) -> web.StreamResponse:
    """Answer `total` 0 to every search from now on, by `_id` too: the token's scope covers nobody any more."""
    moment.faults.scope_shrunk = True
    return await moment.answer()


KINDS = (
    entry_repeated,
    entry_added_twice,
    entry_skipped,
    total_too_high,
    total_too_low,
    filters_ignored,
    roster_filters_ignored,
    next_missing,
    next_loops,
    next_foreign,
    page_cap_changed,
    nothing_found,
    scope_shrunk,
)


def emptied(answer: web.StreamResponse) -> web.StreamResponse:
    """Return a Bundle without entries instead of one with some; anything else as it is."""
    if bundle_of(answer) is None:
        return answer
    return json_answer({"resourceType": "Bundle", "type": "searchset", "total": 0})


def _drop_next(bundle: Bundle) -> None:
    bundle["link"] = [link for link in bundle.get("link", ()) if link["relation"] != "next"]


def _set_next(bundle: Bundle, url: str) -> None:
    _drop_next(bundle)
    bundle["link"].append({"relation": "next", "url": url})
