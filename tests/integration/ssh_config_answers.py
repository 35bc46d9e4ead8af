"""Asks `ssh -G` and our own resolver about every file in `ssh_config/`. Runs on a lab's host.

Standard output is JSON: for each file and host asked for, what each of the two
answers, in the words of `ssh -G`. It runs as a user of its own, whose home and
`/etc/ssh` it may overwrite.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Mapping, Optional, Sequence, Union

from nix_remote.errors import NixRemoteError
from nix_remote.ssh.config import resolve
from nix_remote.ssh.config.host_config import HostConfig
from nix_remote.ssh.config.lookup import Lookup
from nix_remote.ssh.config.syntax import Destination, parse_destination
from nix_remote.ssh.keys import algorithms

Answer = dict[str, Any]
Environment = Mapping[str, str]

HOME = Path("/home/configs")
ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "HOME": str(HOME),
    "MY_AGENT": "/run/agent.sock",
    "SSH_AUTH_SOCK": "/run/other.sock",
    "FOLDER": str(HOME),
}

# Of what `ssh -G` prints: numbers, flags and single words.
_WORDS = (
    *("addressfamily", "bindaddress", "canonicalizefallbacklocal", "canonicalizehostname"),
    *("canonicalizemaxdots", "checkhostip", "compression", "connecttimeout"),
    *("connectionattempts", "controlpath", "gssapiauthentication", "hashknownhosts"),
    *("hostbasedauthentication", "hostkeyalias", "hostname", "identitiesonly", "identityagent"),
    *("knownhostscommand", "nohostauthenticationforlocalhost", "pkcs11provider", "port"),
    *("preferredauthentications", "proxycommand", "proxyjump", "proxyusefdpass"),
    *("pubkeyauthentication", "requiredrsasize", "serveralivecountmax", "serveraliveinterval"),
    *("stricthostkeychecking", "tag", "user", "verifyhostkeydns"),
)
_LISTS = (
    *("canonicaldomains", "canonicalizepermittedcnames"),
    *("globalknownhostsfile", "userknownhostsfile", "revokedhostkeys"),
)
_SEVERAL = ("identityfile", "certificatefile")
_ALGORITHMS = {
    "ciphers": "cipher",
    "macs": "mac",
    "kexalgorithms": "kex",
    "hostkeyalgorithms": "HostKeyAlgorithms",
    "pubkeyacceptedalgorithms": "PubkeyAcceptedAlgorithms",
    "casignaturealgorithms": "key-ca-sign",
}
_DEFAULT_IDENTITIES = re.compile(r"~/\.ssh/id_(dsa|rsa|ecdsa|ecdsa_sk|ed25519|ed25519_sk|xmss|\w+)")


def run(*argv: str, environment: Environment = ENVIRONMENT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        argv, capture_output=True, text=True, timeout=20, env=environment, check=False
    )


def said_by_ssh(
    alias: str, file: Union[Path, str, None], environment: Environment = ENVIRONMENT
) -> Optional[Answer]:
    options = [] if file is None else ["-F", str(file)]
    done = run("ssh", *options, "-G", alias, environment=environment)
    if done.returncode != 0:
        return None
    answer: Answer = {key: [] for key in _SEVERAL}
    for line in done.stdout.splitlines():
        key, _, value = line.partition(" ")
        key = key.lower()
        if key in _SEVERAL:
            answer[key].append(value)
        elif key in _WORDS or key in _LISTS or key in _ALGORITHMS:
            answer[key] = value
    # Older ones print nothing where newer ones print "none".
    answer.setdefault("revokedhostkeys", "none")
    return normalised(answer)


def used_by_ssh(
    alias: str, file: Optional[Path], answer: Answer, environment: Environment
) -> Answer:
    """What `ssh -G` does not print: files and commands with their tokens filled in."""
    has_command = "proxycommand" in answer
    # Instead of connecting; and a command of the config's own fails here, too.
    instead = [] if has_command else ["-o", "ProxyCommand=false"]
    options = [] if file is None else ["-F", str(file)]
    # Not among what the command writes to standard error.
    log = HOME / "log"
    log.unlink(missing_ok=True)
    run("ssh", *options, "-v", "-E", str(log), *instead, alias, environment=environment)
    said = log.read_text()
    files = re.findall(r"^debug1: identity file (.*) type -?\d+\r?$", said, re.MULTILINE)
    command = re.findall(r"^debug1: Executing proxy command: exec (.*?)\r?$", said, re.MULTILINE)
    return {
        # Backslashes are doubled in what is logged.
        "identityfile": [n.replace("\\\\", "\\") for n in files if not n.endswith("-cert")],
        "proxycommand": command[0] if has_command else None,
    }


def used_by_us(host: HostConfig) -> Answer:
    return {
        "identityfile": [str(path) for path in host.identity_files],
        "proxycommand": host.proxy_command,
    }


def normalised(answer: Answer) -> Answer:
    """Takes away what is only a matter of how `ssh -G` prints."""
    if "proxyjump" in answer:
        hops = [parse_destination(hop) for hop in answer["proxyjump"].split(",")]
        answer["proxyjump"] = [[hop.user, hop.host, hop.port] for hop in hops]
    if all(_DEFAULT_IDENTITIES.fullmatch(name) for name in answer["identityfile"]):
        # Nothing configured: which files are tried then depends on the version.
        answer["identityfile"] = []
    return answer


def yes(value: bool) -> str:
    return "yes" if value else "no"


def said_by_us(
    alias: str, file: Optional[Path], environment: Environment
) -> tuple[Optional[Answer], Optional[HostConfig]]:
    local = resolve.this_user(environment)
    try:
        host = resolve.resolve(alias, file, local)
        user, _, name = alias.rpartition("@")
        found = resolve.look_up(Destination(name, user or None), file, local)
    except NixRemoteError as error:
        print(f"{file} {alias}: {error.render()}", file=sys.stderr)
        return None, None
    answer: Answer = {
        "addressfamily": {0: "any", 2: "inet", 10: "inet6"}[int(host.address_family)],
        "canonicalizefallbacklocal": yes(found.is_on("canonicalizefallbacklocal", default=True)),
        "canonicalizehostname": {"no": "false", "yes": "true"}.get(
            found.text("canonicalizehostname") or "no", "always"
        ),
        "canonicalizemaxdots": str(found.number("canonicalizemaxdots", 1)),
        "checkhostip": yes(host.check_host_ip),
        "compression": yes(host.compression),
        "connecttimeout": "none"
        if found.values.get("connecttimeout") is None
        else f"{host.connect_timeout:g}",
        "connectionattempts": str(host.connection_attempts),
        "gssapiauthentication": yes(found.is_on("gssapiauthentication")),
        "hashknownhosts": yes(host.hash_known_hosts),
        "hostbasedauthentication": yes(found.is_on("hostbasedauthentication")),
        "hostname": host.hostname,
        "identitiesonly": yes(host.identities_only),
        "nohostauthenticationforlocalhost": yes(host.trust_localhost),
        "port": str(host.port),
        "proxyusefdpass": yes(found.is_on("proxyusefdpass")),
        "pubkeyauthentication": {True: "true", False: "false"}[
            found.is_on("pubkeyauthentication", default=True)
        ],
        "requiredrsasize": str(host.required_rsa_size),
        "serveralivecountmax": str(host.server_alive_count_max),
        "serveraliveinterval": str(host.server_alive_interval),
        "stricthostkeychecking": {"yes": "true", "no": "false"}.get(
            host.host_key_policy.value, host.host_key_policy.value
        ),
        "user": host.user,
        "verifyhostkeydns": {"no": "false", "yes": "true"}.get(
            found.text("verifyhostkeydns") or "no", "ask"
        ),
        "canonicaldomains": " ".join(found.words("canonicaldomains") or ("none",)),
        "canonicalizepermittedcnames": " ".join(
            "*:*" if rule == "*" else rule
            for rule in found.words("canonicalizepermittedcnames") or ("none",)
        ),
        "globalknownhostsfile": joined(host.global_known_hosts_files),
        "userknownhostsfile": joined(host.user_known_hosts_files),
        "revokedhostkeys": " ".join(found.words("revokedhostkeys") or ("none",)),
        "certificatefile": found.several.get("certificatefile", []),
        "identityfile": found.several.get("identityfile", []),
    }
    texts = ("bindaddress", "knownhostscommand", "pkcs11provider", "preferredauthentications")
    answer |= {key: found.text(key) for key in (*texts, "tag") if found.text(key)}
    answer |= hops_and_commands(host, found)
    if host.host_key_alias is not None:
        answer["hostkeyalias"] = host.host_key_alias
    if host.control_path is not None:
        answer["controlpath"] = str(host.control_path)
    for key, available in AVAILABLE.items():
        default = tuple(DEFAULTS[key].split(","))
        answer[key] = ",".join(algorithms.assemble(found.text(key), default, available))
    if "gssapiauthentication" not in DEFAULTS:
        del answer["gssapiauthentication"]  # not every build of ssh has it
    return normalised(answer), host


def hops_and_commands(host: HostConfig, found: Lookup) -> Answer:
    answer: Answer = {}
    if (agent := found.text("identityagent")) is not None:
        by_name = agent in ("none", "SSH_AUTH_SOCK") or re.fullmatch(r"\$\w+", agent)
        answer["identityagent"] = agent if by_name else str(host.agent_socket)
    hops: list[HostConfig] = []
    hop = host.jump
    while hop is not None:
        hops.insert(0, hop)
        hop = hop.jump
    chain = found.values.get("proxyjump")
    if isinstance(chain, tuple):
        answer["proxyjump"] = ",".join(
            f"{to.user + '@' if to.user else ''}[{to.host}]{f':{to.port}' if to.port else ''}"
            for to in chain
            if isinstance(to, Destination)
        )
        assert [to.host for to in chain if isinstance(to, Destination)] == [h.alias for h in hops]
    elif host.proxy_command is not None:
        answer["proxycommand"] = found.text("proxycommand")
    return answer


def joined(paths: Sequence[Path]) -> str:
    return " ".join(str(path) for path in paths) or "none"


def put_in_place(file: Path) -> tuple[str, Optional[Path]]:
    """Writes the files that a case is made of; returns its head and the `-F` file, if any."""
    shutil.rmtree(HOME / ".ssh", ignore_errors=True)
    for path in Path("/etc/ssh/more").glob("*"):
        path.unlink()
    Path("/etc/ssh/ssh_config").write_text("")
    with open(file, newline="") as opened:
        head, *others = re.split(r"^#### ", opened.read(), flags=re.MULTILINE)
    for other in others:
        where, _, text = other.partition("\n")
        mode, _, name = where.rpartition(" ")
        path = HOME / name.strip()
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "w", newline="") as opened:
            opened.write(text)
        path.chmod(int(mode or "644", 8))
    places = [other.partition("\n")[0].split()[-1] for other in others]
    uses_default_files = ".ssh/config" in places or "/etc/ssh/ssh_config" in places
    return head, None if uses_default_files else file


def available(query: str) -> tuple[str, ...]:
    return tuple(run("ssh", "-Q", query).stdout.split())


def main(folder: Path) -> None:
    answers: list[Answer] = []
    for file in sorted(folder.glob("*.conf")):
        head, used = put_in_place(file)
        since = re.search(r"^# since: ([0-9.]+)$", head, re.MULTILINE)
        if since and float(since[1]) > VERSION:
            continue
        asked = re.search(r"^# ask: (.*)$", head, re.MULTILINE)
        assert asked is not None, file
        home = re.search(r"^# home: (.*)$", head, re.MULTILINE)
        environment = {**ENVIRONMENT, "HOME": home[1]} if home else ENVIRONMENT
        for alias in asked[1].split():
            ours, host = said_by_us(alias, used, environment)
            ssh = said_by_ssh(alias, used, environment)
            answers.append(
                {
                    "file": file.stem,
                    "alias": alias,
                    "ssh": ssh,
                    "ours": ours,
                    "left_to_ssh": host.needs_openssh if host is not None else (),
                }
            )
            if host is None or ssh is None or ssh["canonicalizehostname"] != "false":
                continue  # a proxy changes the canonical names
            if ssh["identityfile"]:
                answers[-1]["used"] = {
                    "ssh": used_by_ssh(alias, used, ssh, environment),
                    "ours": used_by_us(host),
                }
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    os.umask(0o022)
    VERSION = float(re.findall(r"OpenSSH_(\d+\.\d+)", run("ssh", "-V").stderr)[0])
    AVAILABLE = {key: available(query) for key, query in _ALGORITHMS.items()}
    DEFAULTS = said_by_ssh("x", "none") or {}
    main(Path(sys.argv[1]))
