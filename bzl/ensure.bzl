"""`bazel run @nix_remote//:ensure`: checks and repairs what this workspace depends on."""

# The folder of a `bazel run` is that of the runfiles.
_SCRIPT = """\
#!/bin/sh
exec "./{copier}" ensure --workspace="$BUILD_WORKSPACE_DIRECTORY" "$@"
"""

def _ensure_impl(ctx):
    script = ctx.actions.declare_file(ctx.label.name + ".sh")
    ctx.actions.write(
        script,
        _SCRIPT.format(copier = ctx.file._copier.short_path),
        is_executable = True,
    )
    return [DefaultInfo(executable = script, runfiles = ctx.runfiles([ctx.file._copier]))]

ensure = rule(
    implementation = _ensure_impl,
    attrs = {
        "_copier": attr.label(
            allow_single_file = True,
            default = Label("@nix_remote_python//:copier"),
        ),
    },
    doc = "Runs `nix-remote ensure` for the workspace in which it is run.",
    executable = True,
)
