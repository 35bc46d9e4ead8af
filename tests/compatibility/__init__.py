"""What the product has been tried with, and how: the tables of `docs/compatibility.md`.

    records.py    one observation: its fields, and how it is kept as a line of JSON
    recording.py  how a test leaves a record: the fixture `compatibility` and the option `--record`
    page.py       the tables, made from records

A test run with `--record FILE` appends to FILE. These commands put such records among those that
are kept (`docs/compatibility.jsonl`), and make the tables again:

    ./tools/test integration -k test_matrix --record /tmp/records.jsonl
    python -m tests.compatibility /tmp/records.jsonl
"""
