"""Where users' JavaScript runs: QuickJS in WebAssembly, in a process that has given up everything but its pipe."""

MODULES = ("axios", "buffer", "node-fetch", "url")  # what `require` finds there: those of `js/start.js`
