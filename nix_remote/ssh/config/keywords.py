"""The directives of an SSH config and the parsers of their arguments.

Some are followed here; some have no effect on a command over a connection (forwarding,
terminals, logging); all others are for the `ssh` program only. Files and hosts do not belong
here. No input or output, except that port names are looked up in the services database.
"""

from __future__ import annotations

import re
from typing import Callable, Final, Mapping, Union

from nix_remote.ssh.config.syntax import (
    Destination,
    Line,
    parse_destination,
    parse_number,
    parse_port,
    parse_seconds,
)

Value = Union[str, int, bool, None, tuple[str, ...], tuple[Destination, ...]]
"""None stands for `none`."""


def _word(line: Line) -> str:
    if len(line.words) != 1 or not line.words[0]:
        raise ValueError(f"{line.keyword} takes one argument")
    return line.words[0]


def _none_or_word(line: Line) -> Value:
    word = _word(line)
    return None if word.lower() == "none" else word


def _choice(**meanings: Value) -> Callable[[Line], Value]:
    def parse(line: Line) -> Value:
        key = _word(line).lower().replace("-", "_")
        if key not in meanings:
            raise ValueError(f"{line.keyword} cannot be {line.words[0]!r}")
        return meanings[key]

    return parse


_flag: Final = _choice(yes=True, true=True, no=False, false=False)


def _seconds(line: Line) -> Value:
    word = _word(line)
    return None if word == "none" else parse_seconds(word)


def _number(line: Line) -> Value:
    return parse_number(_word(line))


def _port(line: Line) -> Value:
    return parse_port(_word(line))


def _words(line: Line) -> Value:
    if not line.words or "" in line.words:
        raise ValueError(f"{line.keyword} has an empty argument")
    if any(word.lower() == "none" for word in line.words):
        if len(line.words) > 1:
            raise ValueError(f"{line.keyword}: none cannot be combined with other arguments")
        return ()
    return line.words


def _command(line: Line) -> Value:
    # Here OpenSSH skips any number of equals signs.
    return line.rest.lstrip(" \t\r\n=")


def _jump(line: Line) -> Value:
    text = line.rest.lstrip(" \t\r\n=")
    if text.lower() == "none":
        return None
    hops = text.partition("#")[0].rstrip()
    return tuple(parse_destination(hop) for hop in hops.split(","))


def _algorithms(line: Line) -> Value:
    word = _word(line)
    if not re.fullmatch(r"[-+^]?[^\s,]+(,[^\s,]+)*", word):
        raise ValueError(f"{line.keyword} takes a comma-separated list without blanks")
    return word


FOLLOWED: Final[Mapping[str, Callable[[Line], Value]]] = {
    "addressfamily": _choice(any="any", inet="inet", inet6="inet6"),
    "bindaddress": _word,
    "canonicaldomains": _words,
    "canonicalizefallbacklocal": _flag,
    "canonicalizehostname": _choice(yes="yes", true="yes", no="no", false="no", always="always"),
    "canonicalizemaxdots": _number,
    "canonicalizepermittedcnames": _words,
    "casignaturealgorithms": _algorithms,
    "certificatefile": _word,
    "checkhostip": _flag,
    "ciphers": _algorithms,
    "compression": _choice(yes=True, no=False),
    "connecttimeout": _seconds,
    "connectionattempts": _number,
    "controlpath": _none_or_word,
    "globalknownhostsfile": _words,
    "gssapiauthentication": _flag,
    "hashknownhosts": _flag,
    "hostbasedauthentication": _flag,
    "hostkeyalgorithms": _algorithms,
    "hostkeyalias": _word,
    "hostname": _word,
    "identitiesonly": _flag,
    "identityagent": _word,
    "identityfile": _word,
    "ignoreunknown": _word,
    "kexalgorithms": _algorithms,
    "knownhostscommand": _command,
    "macs": _algorithms,
    "nohostauthenticationforlocalhost": _flag,
    "pkcs11provider": _none_or_word,
    "port": _port,
    "preferredauthentications": _word,
    "proxycommand": _command,
    "proxyjump": _jump,
    "proxyusefdpass": _flag,
    "pubkeyacceptedalgorithms": _algorithms,
    "pubkeyauthentication": _choice(
        yes=True, true=True, no=False, false=False, unbound=True, host_bound=True
    ),
    "requiredrsasize": _number,
    "revokedhostkeys": _words,
    "securitykeyprovider": _none_or_word,
    "serveralivecountmax": _number,
    "serveraliveinterval": _seconds,
    "stricthostkeychecking": _choice(
        **{"yes": "yes", "true": "yes", "no": "no", "false": "no", "off": "no"},
        **{"ask": "ask", "accept_new": "accept-new"},
    ),
    "tag": _word,
    "user": _word,
    "userknownhostsfile": _words,
    "verifyhostkeydns": _choice(yes="yes", true="yes", no="no", false="no", ask="ask"),
}

SEVERAL: Final = frozenset({"identityfile", "certificatefile"})
"""Directives whose values accumulate; of the others the first value counts."""

ALIASES: Final = {
    "dsaauthentication": "pubkeyauthentication",
    "hostbasedkeytypes": "hostbasedacceptedalgorithms",
    "identityfile2": "identityfile",
    "pubkeyacceptedkeytypes": "pubkeyacceptedalgorithms",
    "smartcarddevice": "pkcs11provider",
}
"""Former names of directives."""

_WITHOUT_EFFECT: Final = """
    addkeystoagent batchmode channeltimeout clearallforwardings controlmaster controlpersist
    dynamicforward enableescapecommandline enablesshkeysign escapechar exitonforwardfailure
    fingerprinthash forkafterauthentication forwardagent forwardx11 forwardx11timeout
    forwardx11trusted gatewayports gssapidelegatecredentials hostbasedacceptedalgorithms ipqos
    keepalive localcommand localforward loglevel logverbose numberofpasswordprompts
    obscurekeystroketiming permitlocalcommand permitremoteopen rekeylimit remotecommand
    remoteforward requesttty sendenv sessiontype setenv stdinnull streamlocalbindmask
    streamlocalbindunlink syslogfacility tcpkeepalive tunnel tunneldevice updatehostkeys
    versionaddendum visualhostkey warnweakcrypto xauthlocation

    challengeresponseauthentication kbdinteractiveauthentication kbdinteractivedevices
    passwordauthentication skeyauthentication tisauthentication

    afstokenpassing cipher compressionlevel fallbacktorsh globalknownhostsfile2
    kerberosauthentication kerberostgtpassing protocol rhostsauthentication
    rhostsrsaauthentication rsaauthentication useprivilegedport userknownhostsfile2 useroaming
    usersh
"""
WITHOUT_EFFECT: Final = frozenset(_WITHOUT_EFFECT.split())
"""Directives that are ignored on purpose.

Forwarding, terminals and logging; authentication that asks questions; directives that OpenSSH
itself has removed.
"""
