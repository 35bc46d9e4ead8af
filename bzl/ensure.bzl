"""`bazel run @nix_remote//:ensure`: checks and repairs the store paths of this workspace."""

load("//bzl/private:errors.bzl", "ENSURE_WITHOUT_HOST")

# Runs in its runfiles folder. The copier itself is in OUTPUT BASE/external/REPOSITORY.
_SCRIPT = """\
#!/bin/sh
copier=$(readlink -f './{copier}')
# The hosts in the user's environment, else those that fetches copy to.
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
    # Empty if no host is set.
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
    doc = "Runs `nix-remote ensure` for the workspace that it is run in.",
    executable = True,
)
