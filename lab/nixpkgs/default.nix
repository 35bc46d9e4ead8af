# A package set small enough to build offline in seconds: Debian 12 packages,
# repackaged so that loader, libraries and scripts all come from the store.
# Attribute names are those of nixpkgs. It evaluates, with the same derivations,
# on every Nix from 2.8 on.
#
#   debs/NAME.deb   the packages named in packages.txt
#
# The builders below run with Debian's /usr in the sandbox; what they produce
# never refers to it. Every builder script ends in a shell builtin: bash replaces
# itself by the last command of `bash -c`, coreutils close their output before
# they exit, and Nix takes that for the end and kills the builder now and then.
{ system ? "x86_64-linux", config ? { }, overlays ? [ ] }:

let
  deb = name: builtins.path { path = ./debs + "/${name}.deb"; name = "${name}.deb"; };

  # Debian packages -> one store path.
  #   debs       names of Debian packages that are unpacked into it
  #   libraries  store paths whose lib/ its programs may load from, besides glibc
  #   after      shell code that runs in $out when everything is in place
  repackage = { pname, version, debs, libraries ? [ ], dynamic ? true, after ? "" }:
    builtins.derivation {
      name = "${pname}-${version}";
      inherit system after patchelf;
      builder = "/usr/bin/bash";
      args = [ ./repackage.sh ];
      packages = map deb debs;
      loader = if dynamic then "${glibc}/lib/ld-linux-x86-64.so.2" else "";
      libraries = libraries ++ (if dynamic then [ glibc ] else [ ]);
    } // { inherit pname version; meta = { }; };

  # patchelf 0.14.3, run on its own libraries.
  patchelf = builtins.derivation {
    name = "patchelf-0.14.3";
    inherit system;
    builder = "/usr/bin/bash";
    packages = map deb [ "patchelf" "libc6" "libgcc-s1" "libstdc++6" ];
    args = [ ./patchelf.sh ];
  };

  glibc = repackage {
    pname = "glibc";
    version = "2.36";
    debs = [ "libc6" ];
    dynamic = false;
    after = "rm -rf lib/gconv lib/audit";
  };

  bash = repackage {
    pname = "bash";
    version = "5.2";
    debs = [ "bash" "libtinfo6" ];
    after = "ln -sf bash bin/sh";
  };

  coreutils = repackage {
    pname = "coreutils";
    version = "9.1";
    debs = [ "coreutils" "libacl1" "libattr1" "libgmp10" "libpcre2-8-0" "libselinux1" ];
  };

  hello = repackage {
    pname = "hello";
    version = "2.10";
    debs = [ "hello" ];
  };

  busybox = repackage {
    pname = "busybox";
    version = "1.35.0";
    debs = [ "busybox-static" ];
    dynamic = false;
    after = "for name in cat cp env ls mkdir sh uname; do ln -s busybox bin/$name; done";
  };

  gnused = repackage {
    pname = "gnused";
    version = "4.9";
    debs = [ "sed" "libacl1" "libselinux1" "libpcre2-8-0" ];
  };

  gnugrep = repackage {
    pname = "gnugrep";
    version = "3.8";
    debs = [ "grep" "libpcre2-8-0" ];
    after = "rm -f bin/egrep bin/fgrep bin/rgrep";
  };

  findutils = repackage {
    pname = "findutils";
    version = "4.9.0";
    debs = [ "findutils" "libselinux1" "libpcre2-8-0" ];
  };

  python3 = repackage
    {
      pname = "python3";
      version = "3.11.2";
      debs = [
        "python3.11-minimal" "libpython3.11-minimal" "libpython3.11-stdlib" "libexpat1" "zlib1g"
      ];
      after = "ln -s python3.11 bin/python3; ln -s python3.11 bin/python";
    } // {
    sourceVersion = { major = "3"; minor = "11"; };
    sitePackages = "lib/python3/dist-packages";
  };

  # A derivation whose builder is the store's own bash, with coreutils on PATH.
  runCommand = name: env: script: builtins.derivation ({
    inherit name system;
    builder = "${bash}/bin/bash";
    PATH = "${coreutils}/bin:${bash}/bin";
    args = [ "-euc" "${script}\nexit 0\n" ];
  } // env);

  # The same, with what scripts written for nixpkgs take for granted.
  runCommandInStdenv = name: env: script: runCommand name ({
    PATH = builtins.concatStringsSep ":"
      (map (tool: "${tool}/bin") [ coreutils findutils gnused gnugrep bash ]);
  } // env) script;

  compiler = import ./compiler.nix {
    inherit repackage runCommand deb bash coreutils glibc;
  };

  library = import ./library.nix { inherit runCommand; };

  writeShellScriptBin = name: text: runCommand name { inherit text; passAsFile = [ "text" ]; } ''
    mkdir -p $out/bin
    { echo '#!${bash}/bin/bash'; cat $textPath; } > $out/bin/${name}
    chmod +x $out/bin/${name}
  '';

  packages = {
    inherit bash busybox coreutils findutils glibc gnugrep gnused hello python3 runCommand
      runCommandInStdenv system writeShellScriptBin;
    inherit (compiler) binutils gcc libgcc;
    inherit (library) buildEnv lib symlinkJoin writeTextFile;
    bashInteractive = bash;
    stdenv = {
      cc = compiler.gcc;
      initialPath = [ bash coreutils findutils gnugrep gnused ];
      isLinux = true;
      isDarwin = false;
      inherit system;
      buildPlatform = { inherit system; };
      targetPlatform = { inherit system; };
    };

    # A shell script that needs two other packages to run.
    greeting = writeShellScriptBin "greeting" ''
      ${hello}/bin/hello
      ${coreutils}/bin/uname -n
    '';

    # A package with several outputs; only `dev` refers to `out`.
    multi = runCommand "multi" { outputs = [ "out" "dev" ]; } ''
      mkdir -p $out/lib $dev/include
      echo library > $out/lib/multi
      echo "$out" > $dev/include/multi.h
    '';
  };

  final = builtins.foldl' (previous: overlay: previous // overlay final previous) packages overlays;
in
final // { buildPackages = final; pkgs = final; }
