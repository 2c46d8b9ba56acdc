"""The language server: `modstar-lsp`.

main.py      arguments, logging, start and end of the process
server.py    the handlers, a few lines each; progress.py, the bars
rpc.py       pygls' protocol, with every request answered
session.py   folders, settings, questions: whatever one client has
root.py      one folder: its index to read, a process to write it (child.py, indexer.py), overlay.py over it
protocol.py  the messages of our own and their types; settings.py, the user's settings
features/    what clients without code of ours get
"""
