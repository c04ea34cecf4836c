"""Where users' JavaScript runs: QuickJS in WebAssembly, in a process that has given up everything but its pipe."""
