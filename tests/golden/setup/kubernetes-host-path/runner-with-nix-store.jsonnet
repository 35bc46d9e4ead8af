// Extends the base: while the store is not mounted, the runner requests no actions. Actions that
// were requested before still arrive, and fail.
(import '/config/runner-ubuntu22-04.jsonnet') + {
  // Every Nix store has this folder.
  readinessCheckingPathnames: ['/nix/store/.links'],
}
