"""A run folder -> one HTML file with its results, funnel, costs, and a page for every trajectory."""

from lbi.report.page import write_report

__all__ = ["write_report"]
