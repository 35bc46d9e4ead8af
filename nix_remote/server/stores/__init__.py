"""The store of the Nix server behind one interface, `RemoteStore`: one module per protocol."""
