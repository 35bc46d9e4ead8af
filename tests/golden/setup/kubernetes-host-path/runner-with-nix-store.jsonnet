// What the base says, and one thing more: while the store is not there, no action is asked for.
// What was asked for before it went away still comes, and fails.
(import '/config/runner-ubuntu22-04.jsonnet') + {
  // Every Nix store has this folder.
  readinessCheckingPathnames: ['/nix/store/.links'],
}
