"""The process that writes a folder's index beside a face that only reads it, and how it makes way.

A face that lives on (the language server, the one for agents) starts a `Child` and listens to it; the command
line indexes by itself and needs none of this.
"""
