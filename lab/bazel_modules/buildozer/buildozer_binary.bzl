"""The extension that Bazel's own MODULE.bazel uses, with nothing behind it."""

def _empty_repository_impl(repository_ctx):
    repository_ctx.file("BUILD.bazel", "")

_empty_repository = repository_rule(
    implementation = _empty_repository_impl,
    doc = "A repository without targets.",
)

buildozer_binary = module_extension(
    implementation = lambda module_ctx: _empty_repository(name = "buildozer_binary"),
    doc = "Declares `@buildozer_binary`.",
)
