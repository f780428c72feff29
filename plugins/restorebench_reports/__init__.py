"""Reports: the tables of a run as CSV files, Markdown and LaTeX, and figures of them."""

from __future__ import annotations

from restorebench import FigureInfo, ReporterInfo, hookimpl


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
        ReporterInfo(
            name="latex",
            version="1",
            summary="A table per metric for papers, best group bold, second underlined; and a page of all.",
            load="restorebench_reports.as_latex:Latex",
            options="restorebench_reports.options:LatexOptions",
        ),
    ]


@hookimpl
def restorebench_figures() -> list[FigureInfo]:
    """Offer the kinds of figures."""
    return [
        FigureInfo(
            name=name,
            version="1",
            summary=summary,
            load=f"restorebench_reports.figures.{name}:{name.capitalize()}",
            options=f"restorebench_reports.figures.options:{options}",
        )
        for name, options, summary in (
            ("radar", "RadarOptions", "The score of each row on each task, around a circle."),
            ("gains", "BoardOptions", "The gain of each row over its input, with its interval and its group."),
            ("images", "ImagesOptions", "The scores of two rows against each other, image by image."),
            ("severity", "BoardOptions", "The score over the severity of the degradation, and the area under it."),
            ("cost", "BoardOptions", "The score over the time that it takes, and the frontier."),
            ("confusion", "ConfusionOptions", "What each detector says of each task."),
            ("reliability", "ReliabilityOptions", "How often each detector is right, over what it predicts."),
        )
    ]
