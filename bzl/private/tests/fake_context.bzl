"""A repository_ctx of values and functions, for the parts of a rule that need no Bazel."""

def fake_context(environ = {}, files = {}, attr = {}, with_getenv = True, **fields):
    """Makes one.

    Args:
      environ: the environment variables
      files: path -> content, of the repository's files and of those that labels name; what is
        written goes here as well
      attr: the rule's attributes
      with_getenv: whether Bazel is 7.1 or later
      **fields: more of its fields

    Returns:
      a struct that can take the place of a repository_ctx
    """

    def path(name):
        folder = _key(name).rpartition("/")[0]
        return struct(
            dirname = struct(get_child = lambda *words: path("/".join((folder,) + words))),
            exists = _key(name) in files,
            name = name,
        )

    def read(path):
        return files[_key(path)]

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

def _key(path):
    """What `files` has a file under: for a label its path in its repository."""
    if type(path) == "struct":
        path = path.name
    if type(path) == "Label":
        path = path.package + "/" + path.name
    return path.removeprefix("/")
