"""A Nix server on NixOS: the same as `server.py` makes on Debian, as one module.

Pure: a plan in, a file out.
"""

from __future__ import annotations

from typing import Final

from nix_remote.setup import account, inputs, nfs, quoting, retention
from nix_remote.setup.bundle import Bundle, File
from nix_remote.setup.nfs_server import networks
from nix_remote.setup.server import ServerPlan

FILE_NAME: Final = "nix-remote-server.nix"


def bundle(plan: ServerPlan) -> Bundle:
    """A module to import in `configuration.nix`. Raises `SetupInputUnusable`."""
    name = inputs.account(plan.account)
    parts = [
        _HEAD,
        _ACCOUNT.format(
            account=name,
            user=quoting.nix(name),
            home=account.home(name),
            roots=account.roots(name),
            line=quoting.nix(account.authorized_keys_line(plan.public_key)),
        ),
        _trust(plan),
    ]
    programs = [("dispatcher", account.dispatcher())]
    if plan.executors:
        programs.append(("collect", retention.program(name, plan.policy)))
        options = nfs.export_options(inputs.file_system_id(plan.fsid) if plan.fsid else "")
        clients = " ".join(f"{each}({options})" for each in networks(plan.executors))
        reasons = nfs.EXPORT_REASONS.replace("\n", "\n  ")
        threads = inputs.at_least(1, plan.threads, "--threads")
        parts.append(
            _EXPORT.format(
                reasons=reasons,
                exports=quoting.nix(f"{nfs.STORE} {clients}"),
                threads=threads,
                port=nfs.PORT,
            )
        )
        parts.append(_RETENTION.format(unit=retention.UNIT, user=quoting.nix(name)))
    lets = "".join(
        f'  {each} = pkgs.writeScript "nix-remote-{each}" {_indented(text)};\n'
        for each, text in programs
    )
    text = parts[0].format(programs=lets) + "\n".join(parts[1:]) + "}\n"
    return Bundle(
        (File(FILE_NAME, text),), f"put it beside configuration.nix: imports = [ ./{FILE_NAME} ];"
    )


def _trust(plan: ServerPlan) -> str:
    if plan.trusted_key:
        return _TRUSTED_KEY.format(key=quoting.nix(inputs.nix_public_key(plan.trusted_key)))
    return _TRUSTED_ACCOUNT.format(user=quoting.nix(plan.account)) if plan.executors else ""


def _indented(text: str) -> str:
    """A Nix string of several lines."""
    return "''\n" + text.replace("''", "'''").replace("${", "''${") + "''"


_HEAD: Final = """\
# A Nix server for nix_remote: nix-remote setup server --system nixos …
{{ pkgs, ... }}:
let
  # Programs as nix_remote ships them; each says at its top what it does.
{programs}in
{{
"""

_ACCOUNT: Final = """\
  # An account that owns nothing in its home folder but where durable roots go, and whose key
  # can start one program: see docs/security.md.
  environment.etc."nix-remote/dispatcher".source = dispatcher;
  users.groups.{user} = {{ }};
  users.users.{user} = {{
    isSystemUser = true;
    group = {user};
    home = "{home}";
    shell = "/bin/sh";
    # The key, tied to the dispatcher. NixOS keeps this file in /etc, owned by root.
    openssh.authorizedKeys.keys = [ {line} ];
  }};
  systemd.tmpfiles.rules = [
    "d {home} 0755 root root -"
    "d {home}/.local 0755 root root -"
    "d {home}/.local/state 0755 root root -"
    "d {home}/.local/state/nix-remote 0755 {account} {account} -"
    # And where they go if the Nix daemon cannot read that folder.
    "d {roots} 0755 {account} {account} -"
    # Where the key's line says the dispatcher is.
    "L+ /usr/local/bin/nix-remote-dispatcher - - - - /etc/nix-remote/dispatcher"
  ];
  services.openssh.enable = true;
"""

_TRUSTED_KEY: Final = """\
  # What this key has signed is taken from everybody; the account is not trusted with more.
  nix.settings.trusted-public-keys = [ {key} ];
"""

_TRUSTED_ACCOUNT: Final = """\
  # The account is trusted with any content under any name: it is as good as root. A key to sign
  # copies with is enough instead: nix-remote setup server --trusted-key NAME-1:…
  nix.settings.trusted-users = [ {user} ];
"""

_EXPORT: Final = """\
  # The store, and nothing else of this machine, for the executors.
  {reasons}
  services.nfs.server.enable = true;
  services.nfs.server.exports = {exports};
  # Starting many actions at once is many small questions at once.
  services.nfs.server.nproc = {threads};
  # All that NFS 4 needs. Who may mount, the export says.
  networking.firewall.allowedTCPPorts = [ {port} ];
"""

_RETENTION: Final = """\
  # Once a day: removes durable roots that nobody uses, and collects garbage.
  systemd.services.{unit} = {{
    after = [ "nix-daemon.service" ];
    startAt = "daily";
    serviceConfig = {{
      ExecStart = "${{collect}}";
      # The owner of the roots. Nix collects for everybody, so no more power is needed.
      User = {user};
      # Copies and builds come first.
      Nice = 10;
      IOSchedulingClass = "idle";
      NoNewPrivileges = true;
    }};
  }};
"""
