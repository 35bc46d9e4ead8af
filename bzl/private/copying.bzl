"""Runs the copier in a repository rule, and turns its failure into the failure of the fetch.

The hook decides what is copied, and when.
"""

load(":closures.bzl", "FOLDER")
load(":errors.bzl", "COPY_FAILED")
load(":execute.bzl", "execute_checked")
load(":shell.bzl", "quoted")

# A day. Bazel's default of ten minutes would end a large first copy.
_TIMEOUT = 86400

def copy_to_all(repository_ctx, copier, package, hosts, arguments, paths):
    """Copies store paths to all hosts in parallel.

    The slowest host determines the time, and paths that several hosts lack are read from the
    disk once, as far as the page cache allows. Fails unless every host has every path; the hosts
    that could be copied to keep their paths.

    Args:
      repository_ctx: the repository rule's context
      copier: the program, a path
      package: the name of the package, for messages
      hosts: a list of names
      arguments: options of `nix-remote copy`, a list of strings
      paths: store paths, or links to them

    Returns:
      the paths of the manifests, one for each host
    """
    what = "1 store path" if len(paths) == 1 else "%d store paths" % len(paths)
    copies = [_copy(repository_ctx, host, number) for number, host in enumerate(hosts)]

    # In the repository's own folder, which exists whether or not any copy succeeds.
    statuses = repository_ctx.path("nix-remote-statuses")
    command = [copier, "copy", "--package=" + package] + arguments + paths
    execute_checked(
        repository_ctx,
        "copying {} to {}".format(what, " and ".join(hosts)),
        copies_command(command, [copy.options for copy in copies], str(statuses)),
        lambda done: _failure(repository_ctx, package, copies, statuses, done),
        _TIMEOUT,
        quiet = False,
    )
    return [copy.manifest for copy in copies]

def copies_command(command, options, statuses):
    """A command that runs another one once for each set of options, in parallel.

    Args:
      command: the words that all runs have in common, a list
      options: a list with the further words of each run
      statuses: the file for the exit statuses of all runs, written if a run fails

    Returns:
      a command, a list; it fails if a run fails
    """
    if len(options) == 1:
        return command + options[0]
    script = []
    for number, own in enumerate(options):
        words = " ".join([quoted(word) for word in own])
        script.append('"$@" %s & copy_%d=$!' % (words, number))
    script.append("set --")
    for number in range(len(options)):
        script.append('wait "$copy_%d"; set -- "$@" "$?"' % number)
    all_well = " ".join(["0"] * len(options))
    script.append('[ "$*" = "%s" ] || { echo "$*" >"$0"; exit 1; }' % all_well)
    return ["/bin/sh", "-c", "\n".join(script), statuses] + command

def _copy(repository_ctx, host, number):
    suffix = "-%d" % (number + 1) if number else ""
    folder = repository_ctx.path(FOLDER)
    error_file = folder.get_child("error" + suffix)

    # Read by `nix-remote ensure`; one for each host.
    manifest = folder.get_child("manifest%s.json" % suffix)
    return struct(
        error_file = error_file,
        host = host,
        manifest = manifest,
        options = ["--host=" + host, "--error-file=%s" % error_file, "--manifest=%s" % manifest],
    )

def _failure(repository_ctx, package, copies, statuses, done):
    each = [str(done.return_code)] * len(copies)
    if statuses.exists:
        each = repository_ctx.read(statuses).strip().split(" ")
    return "\n".join([
        COPY_FAILED.format(
            host = copy.host,
            package = package,
            reason = _reason(repository_ctx, copy, done),
            status = status,
        )
        for copy, status in zip(copies, each)
        if status != "0"
    ])

def _reason(repository_ctx, copy, done):
    if copy.error_file.exists:
        return repository_ctx.read(copy.error_file).strip()

    # A defect of the copier, whose whole output has been printed.
    return done.stderr.strip().split("\n")[-1]
