"""What hostile solutions try, as Python that defines `attack()`; test_hostile.py says what becomes of each.

The names in capitals are what it goes for: a file, its folder, a port, a process. What an attack returns or prints in
capitals says that it came through.
"""

ATTACKS = {
    "read the tests from disk": """
        import os
        def attack():
            seen = []
            try:
                seen.append(open(CANARY).read())
            except OSError:
                pass
            tops = set(os.listdir("/")) - {"bin", "lib", "lib64", "sbin", "sys", "usr"}
            for top in sorted(tops, key=lambda name: (name == "proc", name)):
                for folder, below, names in os.walk(f"/{top}"):
                    if "python" in folder:  # its own library, which may lie anywhere and is large
                        below.clear()
                        continue
                    for name in names[:50]:
                        try:
                            text = open(os.path.join(folder, name)).read(100000)
                        except (OSError, ValueError):
                            continue
                        if "f(3) " + "==" in text:
                            seen.append(text)
            return found(" ".join(seen))
    """,
    "read the tests from open files": """
        import os
        def attack():
            seen = b""
            for fd in range(3, 64):
                try:
                    seen += os.pread(fd, 100000, 0)
                except OSError:
                    pass
            return found(seen.decode(errors="replace"))
    """,
    "read the frames of those who called": """
        import sys
        def attack():
            seen, frame = [], sys._getframe()
            while frame:
                seen += [repr(frame.f_locals), repr(frame.f_globals)]
                frame = frame.f_back
            return found(" ".join(seen))
    """,
    "ask the garbage collector": """
        import gc
        def attack():
            gc.unfreeze()
            kinds = (dict, list, tuple, str)
            return found(" ".join(repr(one)[:10000] for one in gc.get_objects() if type(one) in kinds))
    """,
    "search the heap": """
        import ctypes
        def attack():
            libc = ctypes.CDLL(None)
            libc.sbrk.restype = ctypes.c_void_p
            end = libc.sbrk(0)
            return found(ctypes.string_at(end - 2**19, 2**19).decode("latin-1"))
    """,
    "overwrite the checker": """
        import sys
        def attack():
            for module in list(sys.modules.values()):
                for name in ("Checker", "run_checker", "pack", "raised", "Line", "Outcome"):
                    if hasattr(module, name):
                        setattr(module, name, lambda *_: [True, ""])
            for path in (CHECKER, "/byheart/inside/checker.py", sys.executable):
                try:
                    open(path, "a").close()
                    return "WROTE"
                except OSError:
                    pass
    """,
    "sys.exit(0)": "import sys\ndef attack(): sys.exit(0)",
    "os._exit(0)": "import os\ndef attack(): os._exit(0)",
    "raise what no one catches": "def attack(): raise KeyboardInterrupt",
    "override __eq__": """
        class Yes(int):
            def __eq__(self, other): return True
            __ne__ = __lt__ = __gt__ = __sub__ = __rsub__ = __abs__ = __bool__ = lambda *_: 0
            __hash__ = int.__hash__
            def __repr__(self): return "yes"
        def attack(): return Yes()
    """,
    "override __eq__ of nothing built in": """
        class Yes:
            __eq__ = __ne__ = __lt__ = __gt__ = __bool__ = lambda *_: True
            __sub__ = __rsub__ = __abs__ = __float__ = __int__ = lambda *_: 0
            __hash__ = lambda _: 0
        def attack(): return Yes()
    """,
    "patch the builtins": """
        import builtins, json, os
        def attack():
            builtins.AssertionError = type("Quiet", (Exception,), {})
            builtins.abs = builtins.compile = builtins.exec = lambda *_, **__: 0
            builtins.isinstance = lambda *_: True
            json.dumps = lambda *_, **__: '[true, ""]'
            json.loads = lambda *_, **__: [True, ""]
            os._exit = lambda *_: None
            return True
    """,
    "print the pass marker": """
        import os
        def attack():
            for line in ('[true, ""]', "PASSED", "OK", "[0, true]"):
                print(line, flush=True)
                for fd in range(1, 64):
                    try:
                        os.write(fd, (line + "\\n").encode())
                    except OSError:
                        pass
            return True
    """,
    "answer before it is asked": """
        import os, json
        def attack():
            for message in (["loaded", []], ["value", True, []], ["value", ["held", [0, "x"]], []], ["value", {}, []]):
                data = json.dumps(message).encode()
                try:
                    os.write(4, len(data).to_bytes(4, "big") + data)
                except OSError:
                    pass
            return True
    """,
    "send nonsense": """
        import os
        def attack():
            for data in (b"\\xff" * 8, b"\\0\\0\\0\\x05[[[[[", (10**6).to_bytes(4, "big") + b"[" * 10**6):
                try:
                    os.write(4, data)
                except OSError:
                    pass
    """,
    "fork bomb": """
        import os, ctypes
        def attack():
            libc = ctypes.CDLL(None)
            for start in (os.fork, libc.vfork, lambda: libc.syscall(57), lambda: libc.syscall(56, 17, 0, 0, 0, 0)):
                for _ in range(10):
                    try:
                        if start() >= 0:
                            return "FORKED"
                    except OSError:
                        pass
    """,
    "start a program": """
        import os, subprocess
        def attack():
            try:
                return subprocess.run(["/usr/bin/touch", CANARY], capture_output=True)
            except OSError:
                os.execv("/usr/bin/touch", ["touch", CANARY])
    """,
    "memory bomb": """
        def attack():
            kept = []
            while True:
                kept.append(bytearray(10**7))
    """,
    "memory bomb of files and shared memory": """
        import os, mmap
        def attack():
            for _ in range(40):
                try:
                    mmap.mmap(-1, 2**25).write(b"x" * 2**25)
                    os.memfd_create("x")
                    return "MEMFD"
                except (OSError, MemoryError):
                    pass
            return len([mmap.mmap(-1, 2**25) for _ in range(40)])
    """,
    "endless output": """
        def attack():
            while True:
                print("x" * 10000)
    """,
    "endless loop": """
        def attack():
            while True:
                try:
                    pow(3, 10**5)
                except BaseException:
                    pass
    """,
    "endless loop where no Python runs": "def attack(): return 10**10**10 % 7",
    "sleep": "import time\ndef attack(): time.sleep(30)",
    "ignore all signals and sleep": """
        import signal, time
        def attack():
            for number in range(1, 65):
                try:
                    signal.signal(number, signal.SIG_IGN)
                except (OSError, ValueError):
                    pass
            time.sleep(30)
    """,
    "a thread that outlives the main one": """
        import threading, time
        def work():
            while True:
                time.sleep(0.01)
                print(end="")
        def attack():
            threading.Thread(target=work).start()
            threading.Thread(target=work, daemon=True).start()
    """,
    "a bomb of threads": """
        import threading, time
        def attack():
            threading.stack_size(2**15)
            for _ in range(500):
                threading.Thread(target=time.sleep, args=(30,), daemon=True).start()
    """,
    "write outside /tmp": """
        import os, sys
        def attack():
            folders = ["/", "/usr/lib", "/byheart", "/dev", sys.prefix, os.path.dirname(os.__file__), FOLDER]
            for path in (CANARY, *(folder + "/byheart-hostile" for folder in folders)):
                for how in ("w", "a", "x"):
                    try:
                        open(path, how).write("hostile")
                        return "WROTE " + path
                    except OSError:
                        pass
            rename, close = lambda path: os.rename(path, path + "x"), lambda path: os.chmod(path, 0)
            for change in (os.unlink, os.rmdir, os.mkdir, rename, close):
                for path in (CANARY, FOLDER):
                    try:
                        change(path)
                        return "CHANGED " + path
                    except OSError:
                        pass
    """,
    "fill /tmp": """
        def attack():
            size = 0
            try:
                for number in range(200):
                    with open(f"{number}", "wb") as file:
                        size += file.write(bytes(2**20))
            except OSError:
                pass
            return "WROTE" if size > 2**27 else None
    """,
    "leave what is hard to remove": """
        import os
        def attack():
            top = os.getcwd()
            for _ in range(300):
                os.mkdir("x" * 100)
                os.chdir("x" * 100)
            os.chmod(top + "/" + "x" * 100, 0)
            os.chmod(top, 0)
    """,
    "open a socket": """
        import socket
        def attack():
            for family in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX, socket.AF_NETLINK, socket.AF_PACKET):
                for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW):
                    try:
                        socket.socket(family, kind)
                        return "SOCKET"
                    except OSError:
                        pass
            try:
                return "SOCKETPAIR", socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
            except OSError:
                pass
    """,
    "connect to loopback": """
        import socket, ctypes
        def attack():
            try:
                socket.create_connection(("127.0.0.1", PORT), 0.5)
                return "CONNECTED"
            except OSError:
                return ctypes.CDLL(None).syscall(41, 2, 1, 0)
    """,
    "read the environment": """
        import os, ctypes
        def attack():
            libc = ctypes.CDLL(None)
            libc.getenv.restype = ctypes.c_char_p
            return str([dict(os.environ).get("BYHEART_CANARY"), libc.getenv(b"BYHEART_CANARY")])
    """,
    "read /proc of others": """
        import os
        def attack():
            seen = []
            for pid in ("self", "1", "2", str(os.getppid()), OWNER):
                for name in ("environ", "maps", "cmdline", "fd", "mem", "cwd", "root"):
                    try:
                        seen.append(open(f"/proc/{pid}/{name}").read(100))
                    except OSError:
                        pass
            return "PROC" if seen else None
    """,
    "signal the parent, and everyone": """
        import os, signal, fcntl, ctypes
        def attack():
            sent = []
            for pid in (os.getppid(), 1, -1, 0, int(OWNER), int(VICTIM), *range(2, 40)):
                for number in (0, signal.SIGKILL) if pid in (os.getppid(), int(VICTIM)) else (0,):
                    try:
                        sent.append(os.kill(pid, number))
                    except OSError:
                        pass
                sent += [1] if pid != os.getpid() and ctypes.CDLL(None).syscall(200, pid, 0) == 0 else []
                try:
                    reading, writing = os.pipe()
                    sent.append(fcntl.fcntl(reading, fcntl.F_SETOWN, pid))
                except OSError:
                    pass
                os.close(reading), os.close(writing)
            return "SIGNALLED" if sent else None
    """,
    "ptrace": """
        import ctypes, os
        def attack():
            libc = ctypes.CDLL(None)
            pids = (os.getppid(), 1, 2, 3, int(VICTIM))
            done = [libc.ptrace(request, pid, 0, 0) for request in (0, 16, 0x4206) for pid in pids]
            vector = (ctypes.c_uint64 * 2)(id(pids), 8)
            done += [libc.process_vm_readv(pid, vector, 1, vector, 1, 0) for pid in pids]
            done += [libc.syscall(434, pid, 0) for pid in (1, os.getppid())]
            return "TRACED" if any(result >= 0 for result in done) else None
    """,
    "live on after the parent": """
        import ctypes
        def attack():
            return "FREED" if ctypes.CDLL(None).prctl(1, 0, 0, 0, 0) == 0 else None
    """,
    "out by a namespace or a mount": """
        import ctypes, os
        def attack():
            libc = ctypes.CDLL(None)
            done = [libc.unshare(0x10000000), libc.unshare(0x00020000), libc.mount(b"proc", b".", b"proc", 0, 0)]
            done += [libc.chroot(b"."), libc.syscall(425, 8, 0), libc.syscall(321, 0, 0, 0), libc.syscall(323, 0)]
            done += [libc.setuid(0), libc.syscall(250, 0, 0, 0)]
            return "OUT" if any(result >= 0 for result in done) else None
    """,
    "symlinks to what is outside": """
        import os
        def attack():
            for name, target in (("a", CANARY), ("b", "/"), ("c", FOLDER), ("d", "/usr")):
                os.symlink(target, name)
            for name in ("a", "b/byheart-hostile", "c/byheart-hostile", "d/byheart-hostile"):
                try:
                    open(name, "w").write("hostile")
                    return "WROTE"
                except OSError:
                    pass
            try:
                os.link(CANARY, "e")
                return "LINKED"
            except OSError:
                pass
    """,
    "shadow modules": """
        import os, sys
        def attack():
            for name in ("json", "ast", "math", "builtins", "line", "checker", "this"):
                open(f"{name}.py", "w").write("print('SHADOWED'); abs = isclose = lambda *_: 0")
            sys.path.insert(0, os.getcwd())
            sys.modules["math"] = sys.modules["ast"] = sys.modules["json"] = None
            return True
    """,
    "zombie grandchildren": """
        import os, ctypes, _posixsubprocess
        def attack():
            for start in (os.fork, os.forkpty):
                try:
                    if start() == 0:
                        os.setsid()
                        os.fork()
                        while True: pass
                except OSError:
                    pass
            try:
                return "SPAWNED", os.posix_spawn("/usr/bin/sleep", ["sleep", "99"], {})
            except OSError:
                pass
    """,
}  # fmt: skip
