"""The copier with every supported Python and library, oldest to newest.

pythons.py   the source of each Python
cells.py     the combinations that are tried
"""
