"""Runs on disk: their folders, files, names and checkpoints."""

from atrc.runs.directory import Result, RunDirectory, RunSpec, find_runs, find_searches, refuse_existing

__all__ = ["Result", "RunDirectory", "RunSpec", "find_runs", "find_searches", "refuse_existing"]
