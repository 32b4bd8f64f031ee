"""The tables of the paper: published numbers, runs that are missing here, and the text of a table.

`analysis.paper.tables` fills them from run directories.
"""
