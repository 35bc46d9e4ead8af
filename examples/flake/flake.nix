{
  inputs.nixpkgs.url = "https://github.com/NixOS/nixpkgs/archive/refs/tags/24.05.tar.gz";

  outputs = { self, nixpkgs }: {
    packages.x86_64-linux = { inherit (nixpkgs.legacyPackages.x86_64-linux) bash hello; };
  };
}
