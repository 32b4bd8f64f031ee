"""The report: everything that runs say, on one page that needs no network."""

from analysis.report.page import Report, write_report

__all__ = ["Report", "write_report"]
