"""Which versions nix_remote was tried with, and how: the tables of `docs/compatibility.md`.

    records.py    one observation: its fields, and its form as a line of JSON
    recording.py  records of tests: the fixture `compatibility` and the option `--record`
    page.py       the tables, generated from records

A test run with `--record FILE` appends to FILE. These commands add such records to
`docs/compatibility.jsonl`, and generate the tables:

    ./tools/test integration -k test_matrix --record /tmp/records.jsonl
    python -m tests.compatibility /tmp/records.jsonl
"""
