# Stand-in for tests, not rules_nixpkgs: which programs and folders the C compiler is.
let
  pkgs = import <nixpkgs> { config = { }; overlays = [ ]; };
  cc = pkgs.stdenv.cc;
  wrapped = builtins.listToAttrs
    (map (name: { inherit name; value = "${cc}/bin/${name}"; }) [ "cpp" "gcc" "gcov" ]);
  others = builtins.listToAttrs
    (map (name: { inherit name; value = "${cc.bintools}/bin/${name}"; })
      [ "ar" "dwp" "ld" "nm" "objcopy" "objdump" "strip" ]);
  info = {
    tools = wrapped // others // { llvm-cov = "${cc}/bin/gcov"; };
    include_folders = [ "${cc.cc}" "${cc.sysroot}" ];
  };
in
pkgs.runCommand "cc-info"
{ text = builtins.toJSON info; passAsFile = [ "text" ]; }
  "mkdir $out; cp $textPath $out/CC_TOOLCHAIN_INFO"
