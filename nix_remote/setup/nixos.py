"""A Nix server on NixOS: the setup of `server.py` as a NixOS module.

Pure: a plan in, a file out.
"""

from __future__ import annotations

from typing import Final

from nix_remote.setup import account, inputs, nfs, quoting, retention
from nix_remote.setup.bundle import Bundle, File
from nix_remote.setup.nfs_server import LEASE, networks
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
        reasons = nfs.export_reasons(plan.fsid).replace("\n", "\n  ")
        threads = inputs.at_least(1, plan.threads, "--threads")
        parts.append(
            _EXPORT.format(
                reasons=reasons,
                exports=quoting.nix(f"{nfs.STORE} {clients}"),
                threads=threads,
                lease=LEASE,
                store=nfs.STORE,
                sentinel=nfs.SENTINEL,
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
    """A multi-line Nix string."""
    return "''\n" + text.replace("''", "'''").replace("${", "''${") + "''"


_HEAD: Final = """\
# A Nix server for nix_remote: nix-remote setup server --system nixos …
{{ pkgs, ... }}:
let
  # Programs of nix_remote. The comment at the top of each explains it.
{programs}in
{{
"""

_ACCOUNT: Final = """\
  # An account that owns only the folder for durable roots in its home folder, and whose key can
  # start one program: see docs/security.md.
  environment.etc."nix-remote/dispatcher".source = dispatcher;
  users.groups.{user} = {{ }};
  users.users.{user} = {{
    isSystemUser = true;
    group = {user};
    home = "{home}";
    shell = "/bin/sh";
    # The key, restricted to the dispatcher. NixOS keeps this file in /etc, owned by root.
    openssh.authorizedKeys.keys = [ {line} ];
  }};
  systemd.tmpfiles.rules = [
    "d {home} 0755 root root -"
    "d {home}/.local 0755 root root -"
    "d {home}/.local/state 0755 root root -"
    "d {home}/.local/state/nix-remote 0755 {account} {account} -"
    # The folder for durable roots if the Nix daemon cannot read the one above.
    "d {roots} 0755 {account} {account} -"
    # The path of the dispatcher in the key's line.
    "L+ /usr/local/bin/nix-remote-dispatcher - - - - /etc/nix-remote/dispatcher"
  ];
  services.openssh.enable = true;
"""

_TRUSTED_KEY: Final = """\
  # Nix accepts paths signed by this key from every account, so the account need not be trusted.
  nix.settings.trusted-public-keys = [ {key} ];
"""

_TRUSTED_ACCOUNT: Final = """\
  # A trusted account may add any content under any name: it is as powerful as root. A signing key
  # makes this unnecessary: nix-remote setup server --trusted-key NAME-1:…
  nix.settings.trusted-users = [ {user} ];
"""

_EXPORT: Final = """\
  # Exports the store to the executors, and nothing else.
  {reasons}
  services.nfs.server.enable = true;
  services.nfs.server.exports = {exports};
  # Actions that start at the same time send many small requests.
  services.nfs.server.nproc = {threads};
  # Seconds for which the server waits for an executor that may be dead; the default is 90.
  services.nfs.settings.nfsd = {{
    lease-time = {lease};
    grace-time = {lease};
  }};
  # Executors wait for a server that is down, but actions fail if the store is an empty folder.
  systemd.services.nfs-server.unitConfig = {{
    RequiresMountsFor = "{store}";
    AssertPathIsDirectory = "{sentinel}";
  }};
  # The only port that NFS 4 needs. The export limits the clients.
  networking.firewall.allowedTCPPorts = [ {port} ];
"""

_RETENTION: Final = """\
  # Once a day: removes unused durable roots, and collects garbage.
  systemd.services.{unit} = {{
    after = [ "nix-daemon.service" ];
    startAt = "daily";
    serviceConfig = {{
      ExecStart = "${{collect}}";
      # The owner of the roots. Every account may collect garbage, so no other rights are needed.
      User = {user};
      # Copies and builds have priority.
      Nice = 10;
      IOSchedulingClass = "idle";
      NoNewPrivileges = true;
    }};
  }};
"""
