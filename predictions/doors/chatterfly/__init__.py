"""Chatterfly's API of runs: a key stands for a deployment; start, look up, converse, follow over a WebSocket."""
