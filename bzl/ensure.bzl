"""`bazel run @nix_remote//:ensure`: checks and repairs what this workspace depends on."""

load("//bzl/private:errors.bzl", "ENSURE_WITHOUT_HOST")

# Runs among its runfiles. The copier itself lies in OUTPUT BASE/external/REPOSITORY.
_SCRIPT = """\
#!/bin/sh
copier=$(readlink -f './{copier}')
# What the user names wins; else the hosts that Bazel was told, to which its fetches copy.
BAZEL_NIX_REMOTE=${{BAZEL_NIX_REMOTE:-$(cat "${{copier%/*}}/hosts")}}
export BAZEL_NIX_REMOTE
exec "$copier" ensure --output-base="${{copier%/external/*}}" "$@"
"""

_REFUSAL = """\
#!/bin/sh
cat >&2 <<'END'
{text}END
exit 2
"""

def _ensure_impl(ctx):
    # Without a host there is no copier.
    copiers = ctx.files._copier
    content = _REFUSAL.format(text = ENSURE_WITHOUT_HOST)
    for copier in copiers:
        content = _SCRIPT.format(copier = copier.short_path)
    script = ctx.actions.declare_file(ctx.label.name + ".sh")
    ctx.actions.write(script, content, is_executable = True)
    return [DefaultInfo(executable = script, runfiles = ctx.runfiles(copiers))]

ensure = rule(
    implementation = _ensure_impl,
    attrs = {
        "_copier": attr.label(default = Label("@nix_remote_python//:copier_if_any")),
    },
    doc = "Runs `nix-remote ensure` for the workspace in which it is run.",
    executable = True,
)
