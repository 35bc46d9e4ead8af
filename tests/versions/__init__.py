"""The copier with every Python and the libraries that it works with, oldest to newest.

pythons.py   where each Python comes from
cells.py     which combinations are tried
"""
