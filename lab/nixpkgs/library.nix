# The helpers of nixpkgs that rules_nixpkgs' own Nix expressions call.
{ runCommand }:

rec {
  writeTextFile = { name, text, executable ? false, destination ? "" }:
    runCommand name { inherit text destination; passAsFile = [ "text" ]; } ''
      file=$out$destination
      mkdir -p "$(dirname $file)"
      cp $textPath $file
      ${if executable then "chmod +x $file" else ""}
    '';

  buildEnv = { name, paths, pathsToLink ? [ "/" ], postBuild ? "", passthru ? { }, ... }:
    runCommand name
      {
        inherit pathsToLink;
        paths = builtins.filter (path: path != null) paths;
      } ''
      mkdir -p $out
      for path in $paths; do
        for folder in $pathsToLink; do
          # Two levels, so that a bin/ can hold programs of several packages.
          for entry in $path$folder/*; do
            [ -e "$entry" ] || continue
            if [ -d "$entry" ]; then
              mkdir -p $out$folder/''${entry##*/}
              for inner in "$entry"/*; do
                target=$out$folder/''${entry##*/}/''${inner##*/}
                [ ! -e "$inner" ] || [ -e "$target" ] || ln -s "$inner" "$target"
              done
            else
              mkdir -p $out$folder
              target=$out$folder/''${entry##*/}
              [ -e "$target" ] || ln -s "$entry" "$target"
            fi
          done
        done
      done
      ${postBuild}
    '' // passthru;

  symlinkJoin = buildEnv;

  lib = rec {
    version = "24.05";
    optional = condition: value: if condition then [ value ] else [ ];
    optionals = condition: values: if condition then values else [ ];
    optionalAttrs = condition: values: if condition then values else { };
    optionalString = condition: text: if condition then text else "";
    splitString = separator: text:
      builtins.filter builtins.isString
        (builtins.split (builtins.replaceStrings [ "." ] [ "\\." ] separator) text);
    attrByPath = path: default: set:
      if path == [ ] then set
      else if set ? ${builtins.head path}
      then attrByPath (builtins.tail path) default set.${builtins.head path}
      else default;
    getAttrFromPath = path: attrByPath path (throw "the lab has no such package");
    versionOlder = one: other: builtins.compareVersions other one == 1;
    versionAtLeast = one: other: !(versionOlder one other);
  };
}
