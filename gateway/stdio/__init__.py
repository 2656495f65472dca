"""The stdio runner: one supervised process per local MCP server, spoken to over a unix socket.

`python -m gateway.stdio --socket PATH`. It knows no tenants and no policy: whoever may open the socket may call every
server, so only the gateway's user can. What it adds is containment: no inherited environment, limits, and no orphans.
"""
