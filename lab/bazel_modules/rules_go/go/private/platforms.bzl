"""Stub: as much of rules_go as rules_nixpkgs loads."""

PLATFORMS = [
    struct(
        name = "linux_amd64",
        cgo = False,
        constraints = [
            "@io_bazel_rules_go//go/toolchain:cgo_off",
            "@platforms//cpu:x86_64",
            "@platforms//os:linux",
        ],
        goarch = "amd64",
        goos = "linux",
    ),
    struct(
        name = "aix_ppc64",
        cgo = False,
        constraints = [
            "@io_bazel_rules_go//go/toolchain:aix",
            "@io_bazel_rules_go//go/toolchain:cgo_off",
        ],
        goarch = "ppc64",
        goos = "aix",
    ),
]
