"""Helpers of several tests: generated values, and servers with faults."""
