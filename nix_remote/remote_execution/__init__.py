"""Runs an action that probes the store, through the Remote Execution API that Bazel uses.

    endpoint.py       the address of the service, and the properties of executors  (sans-IO)
    protobuf.py       the wire format of protocol buffers                          (sans-IO)
    messages.py       the messages of the API that a probe needs                   (sans-IO)
    capabilities.py   whether a service can run a probe                            (sans-IO)
    probe.py          the action: its script, its inputs, its output               (sans-IO)
    service.py        the client; the only module that imports grpcio, which is optional

Does not belong here: findings for the user (`doctor/remote_execution.py`).
"""
