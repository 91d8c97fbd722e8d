"""The process that reads slow bodies, with the real parsers: what it reads, what bounds it, and what ends it."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import subprocess
import sys
import time
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import patch

import pytest

from tests.bench.worst import LETTERS
from tests.integration.mirroring import until
from worker.errors import ReaderFailed
from worker.reader import parent
from worker.reader.child import CPU_S, MEMORY_BYTES, REQUEST
from worker.reader.parent import Reader
from worker.transform.bodies import ReadHtml, read_html, read_plainly

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

LETTER = "<p>Take <b>two</b> tablets.</p>\n" * 500
OTHER = "<p>Take <i>three</i> tablets.</p>\n" * 500
# Minutes of work for one parser, whatever the machine; gigabytes for another.
BURNS_CPU = "<a " + " ".join(f"x{number}=1" for number in range(300_000)) + ">words"
EATS_MEMORY = "<p>words</p>" * 1_000_000


@asynccontextmanager
async def reading(command: Sequence[str] = parent.COMMAND) -> AsyncIterator[Reader]:
    reader = Reader(command)
    try:
        yield reader
    finally:
        await reader.close()


def instead(code: str) -> list[str]:
    """Return a command for another process than the real one."""
    return [sys.executable, "-I", "-c", f"import os, signal, sys\nfrom worker.reader import child\n{code}"]


def whole(body: str) -> ReadHtml:
    return read_html([body])[body]


async def test_ordinary_letters_are_read_whole_however_large_they_are() -> None:
    async with reading() as reader:
        for name, body in LETTERS.items():
            assert await reader.read(body) == whole(body), name


async def test_a_picture_costs_no_process() -> None:
    async with reading(["no such command"]) as reader:
        body = LETTERS["a picture of 5 MB"]
        assert await reader.read(body) == whole(body)


async def test_data_among_the_words_is_kept() -> None:
    body = f"<p>data:image/png;base64,{'abcd' * 5_000}</p>"
    async with reading() as reader:
        assert (await reader.read(body)).text == body[3:-4]


async def test_what_computes_too_long_takes_the_plain_way_and_the_next_is_read() -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    async with reading() as reader:
        assert await reader.read(BURNS_CPU) == ReadHtml("words", None)
        assert reader.pid is None
        assert await reader.read(LETTER) == whole(LETTER)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert CPU_S * 0.9 < spent_s < CPU_S * 4, "it is not tried again; the rest is for two starts"


async def test_what_takes_too_much_memory_takes_the_plain_way_and_the_next_is_read() -> None:
    async with reading() as reader:
        assert await reader.read(EATS_MEMORY) == read_plainly(EATS_MEMORY)
        assert await reader.read(LETTER) == whole(LETTER)
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 < MEMORY_BYTES * 4


async def test_one_process_reads_all_in_their_order() -> None:
    bodies = [f"{LETTER}<p>{number}</p>" for number in range(40)]
    ended: list[int] = []

    async def read(number: int) -> ReadHtml:
        found = await reader.read(bodies[number])
        ended.append(number)
        return found

    async with reading() as reader:
        await reader.read(LETTER)
        pid = reader.pid
        found = await asyncio.gather(*(read(number) for number in range(len(bodies))))
        assert (reader.pid, ended) == (pid, list(range(len(bodies))))
    assert found == [whole(body) for body in bodies]


async def test_it_is_started_for_the_first_slow_body_and_ends_with_its_reader() -> None:
    async with reading() as reader:
        await reader.read("<p>small")
        assert reader.pid is None
        await reader.read(LETTER)
        pid = reader.pid or 0
        assert exists(pid)
    assert not exists(pid), "neither alive nor a zombie"


async def test_a_kill_from_outside_changes_nothing() -> None:
    async with reading() as reader, stopped_at_start() as pids:
        task = asyncio.create_task(reader.read(LETTER))
        await until_some(pids)
        os.kill(pids[0], signal.SIGKILL)
        assert await task == whole(LETTER)
        assert reader.pid != pids[0]
        assert await reader.read(OTHER) == whole(OTHER)


async def test_a_kill_while_it_waits_changes_nothing() -> None:
    async with reading() as reader:
        await reader.read(LETTER)
        os.kill(reader.pid or 0, signal.SIGKILL)
        assert await reader.read(OTHER) == whole(OTHER)


async def test_what_crashes_it_each_time_takes_the_plain_way() -> None:
    crash = "child.read_html = lambda bodies: os.kill(os.getpid(), signal.SIGSEGV)\nchild.main()"
    async with reading(instead(crash)) as reader:
        assert await reader.read(LETTER) == read_plainly(LETTER)


async def test_what_fails_in_it_is_logged_by_its_lines_and_not_its_words(capsys: pytest.CaptureFixture[str]) -> None:
    fails = "def fail(bodies):\n    raise RecursionError(bodies[0])\nchild.read_html = fail\nchild.main()"
    async with reading(instead(fails)) as reader:
        assert await reader.read(LETTER) == read_plainly(LETTER)
    said = "".join(capsys.readouterr())
    assert "RecursionError at child.py:" in said
    assert "tablets" not in said


async def test_that_it_cannot_be_started_is_an_error_for_people() -> None:
    for command in (["no such command"], instead("sys.exit(1)")):
        async with reading(command) as reader:
            with pytest.raises(ReaderFailed):
                await reader.read(LETTER)


async def test_the_answer_to_another_body_is_taken_for_none() -> None:
    """Sabotage: the process answers with the words of the body before."""
    late = (
        "pack = child.ANSWER.pack\n"
        "class Late:\n"
        "    size = child.ANSWER.size\n"
        "    pack = staticmethod(lambda number, *rest: pack(number - 1, *rest))\n"
        "child.ANSWER = Late\n"
        "child.main()"
    )
    async with reading(instead(late)) as reader:
        assert await reader.read(LETTER) == read_plainly(LETTER)


async def test_a_reading_that_is_cancelled_leaves_no_answer_for_the_next() -> None:
    async with reading() as reader, stopped_at_start() as pids:
        task = asyncio.create_task(reader.read(LETTER))
        await until_some(pids)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        assert not exists(pids[0])
        assert await reader.read(OTHER) == whole(OTHER)


async def test_others_go_on_while_it_reads() -> None:
    async with reading() as reader, stopped_at_start() as pids:
        task = asyncio.create_task(reader.read(LETTER))
        await until_some(pids)
        for _ in range(20):
            await asyncio.sleep(0.01)
        assert not task.done()
        os.kill(pids[0], signal.SIGCONT)
        assert await task == whole(LETTER)


async def test_the_clock_on_the_wall_does_not_count() -> None:
    """A process that the machine has no time for, for longer than it may compute, reads all the same."""
    assert await read_by_a_process_that_waits(parent.COMMAND) == whole(LETTER)


async def test_a_limit_by_the_clock_on_the_wall_would_count_it() -> None:
    """Sabotage."""
    by_the_clock = instead("signal.ITIMER_PROF, signal.SIGPROF = signal.ITIMER_REAL, signal.SIGALRM\nchild.main()")
    assert await read_by_a_process_that_waits(by_the_clock) == read_plainly(LETTER)


@pytest.mark.proof
async def test_on_a_busy_machine_the_outcome_is_the_same() -> None:
    """Beside more than the machine has cores for, with a body that takes a fifth of what it may."""
    body = LETTER
    while seconds(body) < CPU_S / 5:
        body += body
    async with reading() as reader:
        with busy(2 * (os.cpu_count() or 1)):
            assert await reader.read(body) == whole(body)
            assert await reader.read(BURNS_CPU) == ReadHtml("words", None)


async def test_no_word_shows_in_what_the_system_tells_of_it() -> None:
    async with reading() as reader:
        await reader.read(LETTER)
        told = Path(f"/proc/{reader.pid}")
        assert (told / "cmdline").read_bytes().split(b"\0")[1:] == [b"-I", b"-m", b"worker.reader.child", b""]
        names = {variable.partition(b"=")[0] for variable in (told / "environ").read_bytes().split(b"\0")}
        assert names <= {b"", b"LD_LIBRARY_PATH", b"LC_CTYPE"}
        files = {str(path.readlink()) for path in (told / "fd").iterdir()}
        assert not [name for name in files if not name.startswith(("pipe:", "socket:", "/dev/null"))]
        assert "Max core file size        0                    0" in (told / "limits").read_text()


def test_it_ends_with_its_worker() -> None:
    code = (
        "import asyncio, sys\nfrom worker.reader.parent import Reader\n"
        "async def main():\n    reader = Reader()\n    await reader.read('<p>a' * 1000)\n"
        "    print(reader.pid, flush=True)\n    sys.stdin.read()\nasyncio.run(main())"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as worker:
        assert worker.stdout is not None
        pid = int(worker.stdout.readline())
        assert exists(pid)
        worker.kill()
    while is_alive(pid):
        time.sleep(0.02)


def exists(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def is_alive(pid: int) -> bool:
    """Whether a process runs. One that has ended, and that nobody has asked after, is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def seconds(body: str) -> float:
    started = time.process_time()
    whole(body)
    return time.process_time() - started


@contextmanager
def busy(count: int) -> Iterator[None]:
    burners = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()


async def until_some(pids: list[int]) -> None:
    async def is_there() -> bool:
        return bool(pids)

    await until(is_there)


@asynccontextmanager
async def stopped_at_start() -> AsyncIterator[list[int]]:
    """Stop the first process before its first body reaches it. Gives its pid, once it is stopped."""
    pids: list[int] = []
    send = parent._send

    async def stopping(child: asyncio.subprocess.Process, number: int, body: bytes) -> None:
        if not pids:
            os.kill(child.pid, signal.SIGSTOP)
            pids.append(child.pid)
        await send(child, number, body)

    with patch.object(parent, "_send", stopping):
        yield pids


async def read_by_a_process_that_waits(command: Sequence[str]) -> ReadHtml:
    """Read a body with a process that has begun, and then has nothing to do for longer than it may compute."""

    async def slowly(child: asyncio.subprocess.Process, number: int, body: bytes) -> None:
        assert child.stdin is not None
        child.stdin.write(REQUEST.pack(number, len(body)))
        await child.stdin.drain()
        await asyncio.sleep(CPU_S + 1)
        child.stdin.write(body)
        await child.stdin.drain()

    with patch.object(parent, "_send", slowly):
        async with reading(command) as reader:
            return await reader.read(LETTER)
