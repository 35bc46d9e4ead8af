import nix_remote


def test_the_public_surface_is_what_is_listed() -> None:
    assert nix_remote.__all__ == ["NixRemoteError", "__version__"]
    for name in nix_remote.__all__:
        assert hasattr(nix_remote, name)
