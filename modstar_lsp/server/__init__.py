"""The language server: `modstar-lsp`.

main.py      arguments, logging, start and end of the process; check.py, whether it would work
server.py    the handlers, a few lines each, marked by handlers.py; progress.py, the bars
rpc.py       pygls' protocol, with every request answered
session.py   folders, settings, trust: whatever one client has; inquiry.py, one request from folders to answer
root.py      one folder: reader.py asks its index, with documents.py over it; supervisor.py keeps going what
             writes it (background/); index_state.py says how much is known
protocol.py  the messages of our own and their types; settings.py, the user's settings
features/    what clients without code of ours get
"""
