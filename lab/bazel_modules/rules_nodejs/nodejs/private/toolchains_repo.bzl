"""Stub: as much of rules_nodejs as rules_nixpkgs loads."""

PLATFORMS = {
    name: struct(compatible_with = [
        "@platforms//os:" + os,
        "@platforms//cpu:" + cpu,
    ])
    for name, os, cpu in [
        ("darwin_amd64", "macos", "x86_64"),
        ("darwin_arm64", "macos", "arm64"),
        ("linux_amd64", "linux", "x86_64"),
        ("linux_arm64", "linux", "arm64"),
    ]
}
