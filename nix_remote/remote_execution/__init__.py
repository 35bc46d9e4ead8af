"""Runs a look at the store as an action, through the Remote Execution API that Bazel uses.

    endpoint.py   which service, and which executors of it                  (sans-IO)
    protobuf.py   the wire format of protocol buffers                       (sans-IO)
    messages.py   the few messages of the API that a look needs             (sans-IO)
    abilities.py  what a service can do, and which versions of the API it speaks (sans-IO)
    look.py       the action itself: what it runs, and what its output says (sans-IO)
    service.py    the service; hides grpcio, which is installed only if it is wanted

Does not belong here: what a look means to a person (`doctor/remote_execution.py`).
"""
