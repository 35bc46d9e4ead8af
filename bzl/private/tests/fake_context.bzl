"""A repository_ctx of values and functions, for the parts of a rule that need no Bazel."""

def fake_context(environ = {}, files = {}, attr = {}, with_getenv = True, **fields):
    """Makes one.

    Args:
      environ: the environment variables
      files: path -> content, of the repository's files; what is written goes here as well
      attr: the rule's attributes
      with_getenv: whether Bazel is 7.1 or later
      **fields: more of its fields

    Returns:
      a struct that can take the place of a repository_ctx
    """

    def path(name):
        return struct(exists = name in files, name = name)

    def read(path):
        return files[getattr(path, "name", path)]

    def file(name, content = "", executable = True, **_encoding):
        files[name] = content if not executable else "#" + content

    if with_getenv:
        fields = fields | {"getenv": lambda name, default = None: environ.get(name, default)}
    return struct(
        attr = struct(**attr),
        file = file,
        name = "fake",
        os = struct(environ = environ, name = "linux"),
        path = path,
        read = read,
        **fields
    )
