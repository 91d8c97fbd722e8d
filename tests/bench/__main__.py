"""`python -m tests.bench [--seed N]`: messages a second on one core, ratios, and the worst bodies.

CPU time. What is compared runs in turn, batch by batch and round after round, and of every batch the best
round counts, so that what else the machine does falls on all alike. Exits 1 if a bound is not kept.

Text and safe HTML together are read as the worker reads a page: a batch is one. Letters are of all shapes, one each;
letters of many parts have about twice their tags, by whose number BeautifulSoup's time goes. "Cold" is a process that
has just started, as each night's has: it reads its first messages.

Each part runs in a process of its own, where the threshold from which glibc asks the system for a block stays
where it is at first, and what it has on its heap it keeps. Once a process has let go of a larger block, the heap
serves lexbor's arenas, and its parse takes a third: a figure that depends on what ran before. It is printed too,
and not judged.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, TypeVar

import html_text
import inscriptis  # type: ignore[import-untyped]  # ships no types
from bs4 import BeautifulSoup
from selectolax.lexbor import LexborHTMLParser

from tests.bench.bodies import any_letter, letter_of_parts, mixture, note
from tests.bench.worst import IN_PROCESS, IN_PROCESS_MS, IN_THE_CHILD, LETTERS
from worker.reader.child import CPU_S, MEMORY_BYTES
from worker.reader.parent import Reader
from worker.transform.bodies import read_html
from worker.transform.safe_html.sanitize import safe_html
from worker.transform.text.fallback import text_without_structure
from worker.transform.text.innertext import inner_text, text_of
from worker.transform.text.tree import quick_tree, tree_of

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
_MESSAGES = 3_000
_ROUNDS = 15
_BATCH = 50
_START_S = 1.0  # of a process, twice if it is tried again

_COLD_MESSAGES, _COLD_ROUNDS = 300, 3
_TEXT, _SAFE, _BOTH, _LEXBOR = "text", "safe HTML", "text and safe HTML", "lexbor, parse alone"
_WALK = "text by the walk alone"
_SOUP = "BeautifulSoup (html.parser)"


def _each(read: Callable[[str], object]) -> Callable[[list[str]], object]:
    def read_all(bodies: list[str]) -> None:
        for body in bodies:
            read(body)

    return read_all


_OURS: dict[str, Callable[[list[str]], object]] = {
    _LEXBOR: _each(lambda body: LexborHTMLParser(body, is_fragment=True)),
    _TEXT: _each(inner_text),
    _WALK: _each(lambda body: text_of(tree_of(body, quick_tree(body)))),
    _SAFE: _each(safe_html),
    _BOTH: read_html,
}
_OTHERS: dict[str, Callable[[list[str]], object]] = {
    _SOUP: _each(lambda body: BeautifulSoup(body, "html.parser").get_text()),
    "BeautifulSoup (lxml)": _each(lambda body: BeautifulSoup(body, "lxml").get_text()),
    "html-text": _each(html_text.extract_text),
    "inscriptis": _each(inscriptis.get_text),
}
_MOST_LEXBOR = {"notes": 0.8, "letters": 1.3, "letters of many parts": 1.3}
_MIXTURES = {"notes": note, "letters": any_letter, "letters of many parts": letter_of_parts}


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _seconds(read: Callable[[T], object], bodies: T) -> float:
    started = time.process_time()
    read(bodies)
    return time.process_time() - started


def _microseconds(ways: dict[str, Callable[[list[str]], object]], bodies: list[str]) -> dict[str, float]:
    """Return the CPU time that each way takes for a message: of every batch its best round."""
    batches = [bodies[start : start + _BATCH] for start in range(0, len(bodies), _BATCH)]
    best = {name: [math.inf] * len(batches) for name in ways}
    for _ in range(_ROUNDS):
        for number, batch in enumerate(batches):
            for name, read in ways.items():
                best[name][number] = min(best[name][number], _seconds(read, batch))
    return {name: sum(seconds) / len(bodies) * 1e6 for name, seconds in best.items()}


def _mixture(title: str, seed: int) -> bool:
    """Measure and print one mixture of messages. Returns whether the ratios are kept."""
    bodies = mixture(_MIXTURES[title], Random(seed), _MESSAGES)  # noqa: S311  made-up messages
    mean = sum(map(len, bodies)) / len(bodies)
    html = [body for body in bodies if "<" in body]
    tags = sum(body.count("<") for body in html) / len(html)
    cold = {way: _cold_microseconds(way, title, seed) for way in (_TEXT, _WALK)}
    _say(f"\n{title}: {len(bodies):,} messages of {mean:.0f} characters, 60 % HTML of {tags:.0f} tags each")
    for way, microseconds in cold.items():
        _say(f"  {f'{way}, cold':30} {1e6 / microseconds:10,.0f} messages/s {microseconds:10.1f} µs")
    spent = _microseconds(_OURS, bodies) | _microseconds(_OTHERS, bodies)
    for name, microseconds in spent.items():
        _say(f"  {name:30} {1e6 / microseconds:10,.0f} messages/s {microseconds:10.1f} µs")
    ratios = [
        ("text / walk alone, cold", cold[_TEXT] / cold[_WALK], "at most", 1.0),
        ("text / lexbor parse", spent[_TEXT] / spent[_LEXBOR], "at most", _MOST_LEXBOR[title]),
        ("BeautifulSoup / text", spent[_SOUP] / spent[_TEXT], "at least", 6.0),
    ]
    return all([_kept(*ratio) for ratio in ratios])  # noqa: C419  prints each


def _cold_microseconds(way: str, title: str, seed: int) -> float:
    """Return the CPU time that the first messages of a process take each: of some processes the best."""
    command = [sys.executable, "-m", "tests.bench", "--seed", str(seed), "--part", title, "--cold", way]
    runs = [subprocess.run(command, check=True, capture_output=True, text=True) for _ in range(_COLD_ROUNDS)]
    return min(float(run.stdout) for run in runs)


def _kept(name: str, ratio: float, bound: str, threshold: float) -> bool:
    kept = ratio <= threshold if bound == "at most" else ratio >= threshold
    _say(f"  {'✓' if kept else '✗'} {name:40} {ratio:6.2f}  ({bound} {threshold:g})")
    return kept


def _worst(title: str, _seed: int) -> bool:
    """Print how long the worst bodies take, in process and in the process for slow ones: text and safe HTML of one."""
    _say(f"\n{title}: how long one body can hold the worker")
    in_process = [_is_bounded(name, body) for name, body in IN_PROCESS.items()]
    _say("\nand in the process for slow bodies, of CPU time and memory, its start included")
    in_child = [asyncio.run(_is_bounded_in_child(name, body)) for name, body in IN_THE_CHILD.items()]
    return all((*in_process, *in_child))


def _is_bounded(name: str, body: str) -> bool:
    best_ms = min(_seconds(read_html, [body]) for _ in range(5)) * 1e3
    kept = best_ms <= IN_PROCESS_MS
    size = f"{len(body):,} characters"
    _say(f"  {'✓' if kept else '✗'} {name:36} {size:>22} {best_ms:8.1f} ms  (at most {IN_PROCESS_MS:,.0f})")
    return kept


async def _is_bounded_in_child(name: str, body: str) -> bool:
    """Measure a body in a process of its own. What has to be read whole must be."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    reader = Reader()
    read = await reader.read(body)
    peak_mb = _peak_mb(reader)
    await reader.close()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    whole = read.html is not None
    way = f"{peak_mb:4.0f} MB" if whole else f"plain way {_seconds(text_without_structure, body):4.1f} s"
    kept = cpu_s <= CPU_S + _START_S and peak_mb * 1e6 <= MEMORY_BYTES and (whole or name not in LETTERS)
    size = f"{len(body):,} characters"
    _say(f"  {'✓' if kept else '✗'} {name:36} {size:>22} {cpu_s * 1e3:8.0f} ms  {way}")
    return kept


def _peak_mb(reader: Reader) -> float:
    """Return the most memory that the process of a reader took, or 0 if it is gone or was not needed."""
    if reader.pid is None:
        return 0.0
    status = Path(f"/proc/{reader.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e6


def _grown_heap(title: str, seed: int) -> bool:
    """Print what the same takes where the heap has grown."""
    _say(f"\n{title}, not judged: where the heap has grown already")
    for name, make in _MIXTURES.items():
        bodies = mixture(make, Random(seed), _MESSAGES)  # noqa: S311  made-up messages
        for way, microseconds in _microseconds(_OURS, bodies).items():
            _say(f"  {name:21} {way:30} {1e6 / microseconds:10,.0f} messages/s {microseconds:10.1f} µs")
    return True


_PARTS: dict[str, Callable[[str, int], bool]] = {
    "notes": _mixture,
    "letters": _mixture,
    "letters of many parts": _mixture,
    "grown heap": _grown_heap,
    "worst": _worst,
}
_NEVER_TRIMMED = {"MALLOC_TRIM_THRESHOLD_": str(64 * 1024 * 1024)}
_GLIBC_AT_FIRST = _NEVER_TRIMMED | {"MALLOC_MMAP_THRESHOLD_": str(128 * 1024)}
_GLIBC_GROWN = _NEVER_TRIMMED | {"MALLOC_MMAP_THRESHOLD_": str(32 * 1024 * 1024)}


def main() -> int:
    """Run one part, or all of them in processes of their own. Returns the exit code."""
    arguments = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--part", choices=_PARTS)
    arguments.add_argument("--cold", choices=_OURS, help=argparse.SUPPRESS)
    chosen = arguments.parse_args()
    if chosen.cold:
        bodies = mixture(_MIXTURES[chosen.part], Random(chosen.seed), _COLD_MESSAGES)  # noqa: S311  made-up messages
        sys.stdout.write(str(_seconds(_OURS[chosen.cold], bodies) / len(bodies) * 1e6))
        return 0
    if chosen.part:
        return 0 if _PARTS[chosen.part](chosen.part, chosen.seed) else 1
    _say(f"bench: seed {chosen.seed}")
    command = [sys.executable, "-m", "tests.bench", "--seed", str(chosen.seed), "--part"]
    codes = []
    for part in _PARTS:
        heap = _GLIBC_GROWN if part == "grown heap" else _GLIBC_AT_FIRST
        codes.append(subprocess.run([*command, part], env=os.environ | heap, check=False).returncode)
    return max(codes)


if __name__ == "__main__":
    sys.exit(main())
