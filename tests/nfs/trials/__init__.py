"""Trials: names that an executor looks for in vain while a server makes them.

trials.py    plans, runs them, and has what was seen
maker.py     the program on the server
prober.py    the program on the executor
copies.py    trials with the real copier; watcher.py is their program on the executor
"""
