"""A stdio MCP server that misbehaves on request. Run as a program by the tests; standard library only."""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

LOCK = threading.Lock()
CANCELLED = []


def send(message):
    with LOCK:
        sys.stdout.write(json.dumps(message) + "\n")
        sys.stdout.flush()


def text(value):
    return {"content": [{"type": "text", "text": value if isinstance(value, str) else json.dumps(value)}]}


def echo(arguments):
    return text(arguments.get("text", ""))


def environment(arguments):
    return text({"env": dict(os.environ), "cwd": str(Path.cwd()), "home": [str(p) for p in Path.home().iterdir()]})


def limits(arguments):
    import resource

    names = ("RLIMIT_AS", "RLIMIT_CPU", "RLIMIT_NOFILE", "RLIMIT_FSIZE", "RLIMIT_CORE")
    return text({name: resource.getrlimit(getattr(resource, name))[1] for name in names})


def descriptors(arguments):
    """What is open beside the three pipes; reading the directory itself opens one that is gone afterwards."""
    links = [Path(f"/proc/self/fd/{number}") for number in range(3, 256)]
    return text([str(link.readlink()) for link in links if link.is_symlink()])


def die(arguments):
    sys.stderr.write("last words\n")
    sys.stderr.flush()
    os._exit(3)


def hang(arguments):
    threading.Event().wait()


def flood_line(arguments):
    while True:
        sys.stdout.write("x" * 65536)


def flood_lines(arguments):
    while True:
        sys.stdout.write('{"jsonrpc":"2.0","method":"notifications/message","params":{}}\n')


def noise(arguments):
    with LOCK:
        sys.stdout.write("starting up...\n[1, 2]\n{}\n\n" + '{"jsonrpc":"2.0","id":987654,"result":{}}\n')
        sys.stdout.flush()
    return text("after noise")


def big(arguments):
    return text("y" * arguments["size"])


def slow(arguments):
    time.sleep(arguments["seconds"])
    return text(arguments.get("text", ""))


def deaf(arguments):
    """Answers once and never reads again."""
    send({"jsonrpc": "2.0", "id": arguments["id"], "result": text("deaf from now on")})
    threading.Event().wait()


def spawn(arguments):
    """Leaves behind a process in a session of its own, and one that ignores SIGTERM."""
    sleeper = [sys.executable, "-S", "-c", "import time; time.sleep(600)", arguments["mark"]]
    stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
    subprocess.Popen(sleeper, start_new_session=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    subprocess.Popen([sys.executable, "-S", "-c", stubborn, arguments["mark"]])
    return text("spawned")


def cancelled(arguments):
    return text(CANCELLED)


def ask(arguments):
    """Asks the client for what it never offered; the answer comes back as the result of `answers`."""
    for name, method in (("ping-1", "ping"), ("sample-1", "sampling/createMessage"), ("roots-1", "roots/list")):
        send({"jsonrpc": "2.0", "id": name, "method": method, "params": {}})
    return text("asked")


ANSWERS = {}
TOOLS = {
    tool.__name__: tool
    for tool in (echo, environment, limits, descriptors, die, hang, flood_line, flood_lines, noise, big, slow, spawn)
} | {"cancelled": cancelled, "ask": ask, "answers": lambda arguments: text(ANSWERS)}


def handle(message):
    method, params = message["method"], message.get("params", {})
    if method == "initialize":
        result = {
            "protocolVersion": "2025-11-25",
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "awkward", "version": "1"},
            "instructions": "Be careful.",
            "seen": params,
        }
    elif method == "tools/list":
        result = {"tools": [{"name": name, "inputSchema": {"type": "object"}} for name in sorted(TOOLS)]}
    elif params.get("name") in TOOLS:
        result = TOOLS[params["name"]](params.get("arguments", {}))
    else:
        send({"jsonrpc": "2.0", "id": message["id"], "error": {"code": -32602, "message": "Unknown tool"}})
        return
    send({"jsonrpc": "2.0", "id": message["id"], "result": result})


def main():
    if "--refuse" in sys.argv:
        sys.exit(4)
    if "--old" in sys.argv:
        send({"jsonrpc": "2.0", "id": 1, "result": {"protocolVersion": "1999-01-01"}})
    for line in sys.stdin:
        message = json.loads(line)
        if "method" not in message:
            ANSWERS[message["id"]] = "error" if "error" in message else "result"
        elif message["method"] == "notifications/cancelled":
            CANCELLED.append(message["params"]["requestId"])
        elif "id" in message:
            if message["params"].get("name") == "deaf":
                deaf({"id": message["id"]})
            threading.Thread(target=handle, args=(message,), daemon=True).start()
    os._exit(0)


if __name__ == "__main__":
    main()
