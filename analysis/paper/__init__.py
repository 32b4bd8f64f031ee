"""The tables of the paper: what it published, what is missing here, and the text of a table.

`analysis.paper.tables` fills them from run directories.
"""
