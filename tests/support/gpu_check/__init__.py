"""``make gpu-check``: what only a GPU can show, in one command that installs nothing.

The command itself needs no package. It says which modules cannot be imported, and runs every section that has all of
its own in a process of its own, so that neither a device in error nor a crash touches the others.
"""
