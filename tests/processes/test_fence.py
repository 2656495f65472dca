"""With `--split` the portal cannot decrypt credentials of servers or repositories, whatever its code does: the code here tries."""

import json
import shutil
import subprocess
import sys
import textwrap
from base64 import b64decode
from contextlib import contextmanager

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from portal import keys
from portal.cli import processes
from portal.config import load
from registry import fence

pytestmark = pytest.mark.skipif(
    not processes.has_fence(), reason="THIS KERNEL HAS NO LANDLOCK: the fence was not tested"
)

ATTACK = textwrap.dedent(
    """
    import ctypes, json, os, sys
    key, pid, scratch, root = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
    libc = ctypes.CDLL(None, use_errno=True)

    def checked(result):
        if result < 0:
            raise OSError(ctypes.get_errno(), "refused")
        return result

    def link():
        os.symlink(key, scratch + "/link")
        return open(scratch + "/link").read()

    def hard_link():
        os.link(key, scratch + "/hard")
        return open(scratch + "/hard").read()

    def move():
        os.rename(os.path.dirname(key), scratch + "/moved")
        return os.listdir(scratch + "/moved")

    def mount():
        return checked(libc.mount(os.path.dirname(key).encode(), scratch.encode(), None, 4096, None))

    def change_mode():
        os.chmod(key, 0o666)
        return open(key).read()

    def read_memory():
        class Vector(ctypes.Structure):
            _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]
        start = int(open("/proc/self/maps").read().split("-")[0], 16)
        here = ctypes.create_string_buffer(16)
        local, remote = Vector(ctypes.addressof(here), 16), Vector(start, 16)
        return checked(libc.process_vm_readv(pid, ctypes.byref(local), 1, ctypes.byref(remote), 1, 0))

    attempts = {
        "open": lambda: open(key).read(),
        "through proc": lambda: open("/proc/self/root" + key).read(),
        "through the other's root": lambda: open(f"/proc/{pid}/root" + key).read(),
        "through the other's directory": lambda: open(f"/proc/{pid}/cwd/" + os.path.relpath(key, root)).read(),
        "relative": lambda: (os.chdir(root), open(os.path.relpath(key, root)).read()),
        "symbolic link": link,
        "hard link": hard_link,
        "move": move,
        "bind mount": mount,
        "change mode": change_mode,
        "memory file": lambda: open(f"/proc/{pid}/mem", "rb").read(1),
        "environment": lambda: open(f"/proc/{pid}/environ", "rb").read(),
        "open files": lambda: os.readlink(f"/proc/{pid}/fd/0"),
        "ptrace attach": lambda: checked(libc.ptrace(16, pid, None, None)),
        "ptrace seize": lambda: checked(libc.ptrace(0x4206, pid, None, None)),
        "read memory": read_memory,
        "plant code": lambda: open(root + "/gateway/planted.py", "w").write("pass"),
        "shell": lambda: checked(-os.system(f"cat {key} >/dev/null 2>&1")) or "read",
        "sibling program": lambda: __import__("subprocess").check_output(["cat", key], stderr=-3).decode(),
    }
    won = {}
    for name, attempt in attempts.items():
        try:
            won[name] = repr(attempt())
        except (OSError, __import__("subprocess").CalledProcessError):
            pass
    print(json.dumps(won))
    """
)


@pytest.fixture
def config(tmp_path):
    """An installation with keys, on an ordinary disk."""
    config = load({"HANSE_DATA": str(tmp_path / "data")})
    keys.prepare_keys(config)
    (config.data / "installation").write_text("test")
    return config


@contextmanager
def holding(path):
    """A process outside the fence that has a key open, as the gateway and the worker do."""
    code = "import sys; key = open(sys.argv[1]).read(); print('open', flush=True); sys.stdin.read()"
    process = subprocess.Popen([sys.executable, "-c", code, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    process.stdout.readline()
    yield process
    process.kill()  # an attack that succeeds leaves it stopped
    process.communicate()


@pytest.fixture
def gateway(config):
    """The gateway with its key."""
    with holding(keys.sealing_key_path(config)) as process:
        yield process


@pytest.fixture
def worker(config):
    """The worker with the key that opens credentials of repositories."""
    with holding(keys.repository_key_path(config)) as process:
        yield process


def attack(command, config, holder, key):
    arguments = [key, holder.pid, config.data / "scratch" / "attack", processes.ROOT]
    (config.data / "scratch" / "attack").mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [*command, sys.executable, "-c", ATTACK, *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def fenced_child(config, name):
    child = next(child for child in processes.children(config, split=True) if child.name == name)
    return list(child.command[: child.command.index("--") + 1])


@pytest.mark.parametrize("name", ["portal", "worker"])
def test_portal_code_cannot_reach_the_gateway_s_key(config, gateway, name):
    assert attack(fenced_child(config, name), config, gateway, keys.sealing_key_path(config)) == {}


@pytest.mark.parametrize("name", ["portal", "gateway", "internal", "sequencer"])
def test_no_process_but_the_worker_reaches_the_key_of_repositories(config, worker, name):
    assert attack(fenced_child(config, name), config, worker, keys.repository_key_path(config)) == {}


def test_the_same_attempts_succeed_without_the_fence(config, gateway):
    won = attack([], config, gateway, keys.sealing_key_path(config))
    (processes.ROOT / "gateway" / "planted.py").unlink()
    assert {"open", "through proc", "symbolic link", "hard link", "relative", "environment", "plant code"} <= set(won)


@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("gateway", "portal"),
        ("gateway", "audit"),
        ("sequencer", "gateway"),
        ("sequencer", "portal"),
        ("stdio", "gateway"),
        ("internal", "gateway"),
        ("internal", "portal"),
        ("portal", "worker"),
        ("gateway", "worker"),
        ("sequencer", "worker"),
        ("stdio", "worker"),
        ("internal", "worker"),
        ("worker", "gateway"),
        ("worker", "audit"),
        ("worker", "owner"),
    ],
)
def test_each_group_reads_its_own_secrets_only(config, name, group):
    secret = config.secrets_dir(group) / "probe"
    secret.write_text("secret")
    code = "import sys; print(open(sys.argv[1]).read())"
    command = [*fenced_child(config, name), sys.executable, "-c", code]
    done = subprocess.run([*command, secret], capture_output=True, text=True, check=False)
    assert "PermissionError" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("name", "path"),
    [("gateway", keys.sealing_key_path), ("worker", keys.repository_key_path)],
    ids=["gateway", "worker"],
)
def test_who_opens_credentials_reads_its_own_key(config, name, path):
    code = "import sys; print(len(open(sys.argv[1]).read()))"
    command = [*fenced_child(config, name), sys.executable, "-c", code, path(config)]
    assert int(subprocess.run(command, capture_output=True, text=True, check=True).stdout) > 50


def test_an_installation_that_is_there_gets_the_keys_it_lacks_and_keeps_the_others(config):
    gateway, repository = keys.sealing_key_path(config).read_bytes(), keys.repository_key_path(config)
    shutil.rmtree(repository.parent)
    keys.repository_public_path(config).unlink()
    keys.prepare_keys(config)
    made = repository.read_bytes()
    assert repository.stat().st_mode & 0o077 == 0
    assert repository.parent.stat().st_mode & 0o077 == 0
    keys.prepare_keys(config)
    assert (repository.read_bytes(), keys.sealing_key_path(config).read_bytes()) == (made, gateway)
    public = b64decode(keys.repository_public_path(config).read_bytes())
    private = load_pem_private_key(made, password=None)
    assert private.public_key().public_bytes_raw() == public
    assert b64decode(keys.sealing_public_path(config).read_bytes()) != public


def test_the_fence_names_everything_but_what_is_hidden(tmp_path):
    hidden = tmp_path / "secrets" / "gateway"
    (tmp_path / "secrets" / "portal").mkdir(parents=True)
    hidden.mkdir()
    roots = list(fence.visible_roots([hidden]))
    assert hidden not in roots
    assert not any(root in hidden.parents for root in roots)
    assert tmp_path / "secrets" / "portal" in roots
