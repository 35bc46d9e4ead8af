"""The SSH config: from the name of a `Host` entry to a `HostConfig`."""
