# The lab's package set, and for every toolchain of rules_nixpkgs something to make it of:
# a real C compiler and a real Python; for the other languages a folder with the names
# that their toolchain looks for, each unlike the others.
{ config ? { }, overlays ? [ ], system ? "x86_64-linux", ... }:
let
  # `version` and the attributes that rules_nixpkgs reads; files: name -> text.
  pretended = self: name: files: attributes:
    self.runCommand name
      {
        names = builtins.attrNames files;
        PATH = "${self.coreutils}/bin";
      } ''
      for file in $names; do
        mkdir -p $out/$(dirname $file)
        printf '#!${self.bash}/bin/bash\necho ${name}\n' > $out/$file
        chmod +x $out/$file
      done
    '' // { version = "1.22.0"; } // attributes;
  files = names: builtins.listToAttrs (map (name: { inherit name; value = ""; }) names);
  program = self: name: pretended self name (files [ "bin/${name}" ]) { };
  pythonPackage = self: pname: dependencies:
    pretended self pname (files [ "lib/python3/dist-packages/${pname}.py" ]) {
      inherit pname;
      pythonModule = true;
      pythonPath = [ ];
      propagatedBuildInputs = dependencies;
    };
in
import PACKAGE_SET {
  inherit system;
  overlays = overlays ++ [
    (self: super: {
      runCommand = super.runCommandInStdenv;
      writers.makeScriptWriter = { interpreter }: name: text:
        self.writeTextFile { inherit name; text = "#! ${interpreter}\n${text}"; };

      cmake = program self "cmake";
      gnumake = program self "make";
      ninja = program self "ninja";
      nodejs = program self "node";
      jdk = let jdk = program self "java"; in jdk // { home = jdk; };
      go = pretended self "go"
        (files ([ "bin/go" ] ++ map (name: "share/go/${name}/file")
          [ "api" "doc" "lib" "misc" "pkg" "src" ] ++ [ "share/go/go.env" ]))
        { };
      rust = {
        toTargetOs = _: "linux";
        toRustTargetSpec = _: "x86_64-unknown-linux-gnu";
      };
      rustc = program self "rustc" // { unwrapped = null; };
      rustfmt = program self "rustfmt";
      rust-analyzer = program self "rust-analyzer";
      cargo = program self "cargo";
      clippy = program self "clippy-driver";
      pythonPackages = rec { left = pythonPackage self "left" [ ]; right = pythonPackage self "right" [ left ]; };
    })
  ];
}
