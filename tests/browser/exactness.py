"""How exactly bodies are read: `python -m tests.browser.exactness FILE.jsonl…`; no browser is needed.

Each line of a file is a JSON object with `id`, `shape`, `html` and `inner_text`, the text that a browser shows.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

from tests.unit.corpus import judged_messages
from worker.transform.safe_html.sanitize import safe_html
from worker.transform.text.innertext import inner_text


def report(file: Path) -> str:
    """Return a line on the text and one on the safe HTML of a file's bodies, and the shapes that differ."""
    bodies = judged_messages(file)
    wrong = [body for body in bodies if inner_text(body.html) != body.inner_text]
    lost = [body for body in bodies if inner_text(safe_html(body.html)) != body.inner_text]
    lines = [f"{file}: {len(bodies):,} bodies"]
    for what, differing in (("text", wrong), ("text of safe HTML", lost)):
        exact = len(bodies) - len(differing)
        lines.append(f"  {what} exact: {exact:,} ({exact / max(len(bodies), 1):.2%})")
        shapes = Counter(body.shape for body in differing).most_common()
        lines += [f"    differs: {count} × {shape}" for shape, count in shapes]
        lines += [f"      {body.id}" for body in differing[:10]]
    return "\n".join(lines)


def main() -> int:
    files = [Path(name) for name in sys.argv[1:]]
    missing = [str(file) for file in files if not file.is_file()]
    if not files or missing:
        sys.stderr.write(f"not found: {', '.join(missing)}\n" if missing else f"{__doc__}")
        return 2
    for file in files:
        sys.stdout.write(report(file) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
