"""Tables in HTML, for notebooks. Names and code are data: all of it is escaped, nothing of it is obeyed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

_LEFT = ' style="text-align: left; vertical-align: top"'


def table(titles: Sequence[str], rows: Iterable[Sequence[str]], remarks: Iterable[str] = ()) -> str:
    """Rows of texts, the last of each row code, below their titles; the remarks below it all."""
    head = "".join(f"<th{_LEFT}>{escape(title)}</th>" for title in titles)
    body = "".join(map(_row, rows))
    shown = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>" if body else ""
    return shown + "".join(f"<p>{escape(remark)}</p>" for remark in remarks)


def _row(cells: Sequence[str]) -> str:
    *texts, code = map(escape, cells)
    pre = f'<pre style="margin: 0; text-align: left">{code}</pre>'
    return f"<tr>{''.join(f'<td{_LEFT}>{cell}</td>' for cell in (*texts, pre))}</tr>"
