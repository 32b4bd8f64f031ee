"""The report: everything that runs say, on one page that needs no network."""

from analysis.report.page import write_report

__all__ = ["write_report"]
