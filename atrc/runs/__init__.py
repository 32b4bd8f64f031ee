"""Runs on disk: their folders and files, what they are called, their checkpoints."""

from atrc.runs.directory import Result, RunDirectory, RunSpec, find_runs, find_searches, refuse_existing

__all__ = ["Result", "RunDirectory", "RunSpec", "find_runs", "find_searches", "refuse_existing"]
