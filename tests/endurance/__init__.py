"""Long tests: many copies while everything goes wrong. `tools/test endurance` runs them.

Short versions of them are among the integration tests.
"""
