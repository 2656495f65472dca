"""A local MCP server that keeps every call it gets in a file. Run as a program by the tests; standard library only.

stdio_witness.py FILE
"""

import json
import os
import sys
import time


def main() -> None:
    kept = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for line in sys.stdin:
        arrived = time.time()
        message = json.loads(line)
        if "id" not in message:
            continue
        method = message["method"]
        if method == "initialize":
            result = {
                "protocolVersion": "2025-11-25",
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "w", "version": "1"},
            }
        elif method == "tools/call":
            os.write(kept, f"{arrived!r} {message['params']['arguments']['text']}\n".encode())
            result = {"content": [{"type": "text", "text": "kept"}]}
        else:
            result = {"tools": []}
        sys.stdout.write(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
