"""The table at the end: what became of each row."""

from collections.abc import Iterator, Sequence

from harness.row import Finding

#: Characters of a case; a longer one is cut.
WIDTH = 76


def lines(findings: Sequence[Finding]) -> Iterator[str]:
    """Return the table, and how many rows passed and failed."""
    head = ("case", "edits accepted", "charged", "outcome")
    yield f"{head[0]:{WIDTH}} | {head[1]:>14} | {head[2]:>7} | {head[3]}"
    yield f"{'-' * WIDTH}-|-{'-' * 14}-|-{'-' * 7}-|-{'-' * 30}"
    for found in findings:
        outcome = f"{found.outcome}{'   WRONG' if found.wrongs else ''}"
        case = found.row.case if len(found.row.case) <= WIDTH else found.row.case[: WIDTH - 1] + "…"
        yield f"{case:{WIDTH}} | {found.accepted:>14} | {found.charged:>7} | {outcome}"
    failed = sum(bool(found.wrongs) for found in findings)
    yield f"{len(findings) - failed} passed, {failed} failed"
