from nix_remote.ssh.config import keywords


def test_every_directive_has_one_meaning() -> None:
    followed = set(keywords.FOLLOWED)
    assert not followed & keywords.WITHOUT_EFFECT
    assert not set(keywords.ALIASES) & (followed | keywords.WITHOUT_EFFECT)
    assert followed >= keywords.SEVERAL
