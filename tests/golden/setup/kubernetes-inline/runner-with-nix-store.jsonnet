// What the base says, and one thing more: no action is taken while the store is not there.
(import '/config/runner-ubuntu22-04.jsonnet') + {
  // Every Nix store has this folder.
  readinessCheckingPathnames: ['/nix/store/.links'],
}
