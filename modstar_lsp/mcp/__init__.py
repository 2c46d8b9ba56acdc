"""`modstar mcp`: a Model Context Protocol server for coding agents, on standard input and output or by HTTP.

    main.py     the process: arguments, start, end
    rpc.py      JSON-RPC, and by lines: who asked what, cancelling, an answer to every request
    http.py     the same by HTTP on this machine, behind a token
    schema.py   what a tool takes, as the client reads it and as it is checked
    tools.py    the tools: search, similar, outline, status
    folders.py  the folders that may be asked about, and how much of each is known
    answers.py  answers in text, within a number of tokens
    install.py  a client's configuration, written and taken back

It stays in the folders that it was given, runs nothing but its own indexer and what starts modstar-query
sooner, and writes nothing but the index.

The official SDK is not used: its import takes 1.6 s of processor where these lines take .10 (bare Python .05;
mcp 2.3.0, Python 3.11), a client waits for it at every start, and it brings 25 packages into a tool that
promises no network. Clients of that SDK are what the tests speak with.
"""
