"""Reports: the tables of a run as CSV files and as Markdown."""

from __future__ import annotations

from restorebench import ReporterInfo, hookimpl


@hookimpl
def restorebench_reporters() -> list[ReporterInfo]:
    """Offer the reports."""
    return [
        ReporterInfo(
            name="csv",
            version="1",
            summary="leaderboard, records, cost, failures and detector tables, one CSV file each.",
            load="restorebench_reports.as_csv:Csv",
        ),
        ReporterInfo(
            name="markdown",
            version="1",
            summary="The leaderboard as leaderboard.md: tasks by restorers, then every row.",
            load="restorebench_reports.as_markdown:Markdown",
        ),
    ]
