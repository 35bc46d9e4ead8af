import subprocess
import sys

import nix_remote


def test_the_public_surface_is_what_is_listed() -> None:
    assert nix_remote.__all__ == ["NixRemoteError", "__version__"]
    for name in nix_remote.__all__:
        assert hasattr(nix_remote, name)


def test_loading_the_copier_does_not_load_what_only_paramikos_config_reader_wants() -> None:
    code = "import sys, nix_remote.cli.copy; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "paramiko" in loaded
    assert loaded.isdisjoint({"invoke", "asyncio", "unittest.mock"})
