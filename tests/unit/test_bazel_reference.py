from tests import bazel_reference


def test_the_reference_is_what_the_bzl_files_say() -> None:
    advice = "run python -m tests.bazel_reference"
    assert bazel_reference.REFERENCE.read_text() == bazel_reference.generate(), advice
