#!/usr/bin/env python3
"""Records a command in a real terminal as an asciicast (version 2): a shell in a pseudo terminal, into which it is typed.

    tools/terminal/record.py --columns 100 --rows 50 run.cast -- kubectl sfn watch order-4711
"""
import argparse
import fcntl
import json
import os
import pty
import re
import select
import shlex
import signal
import struct
import sys
import termios
import time

PROMPT = b"\x1b[1;32m$\x1b[0m "
# Of one key; nobody types as fast as a program.
KEY = 0.05


class Recording:
    """What a terminal was sent, and when."""

    def __init__(self, terminal):
        self.terminal, self.events, self.all, self.started = terminal, [], b"", time.monotonic()

    def read(self, seconds):
        """Takes in what comes within this time; false once the shell has gone."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if not select.select([self.terminal], [], [], left)[0]:
                break
            try:
                part = os.read(self.terminal, 65536)
            except OSError:
                part = b""
            if not part:
                return False
            self.all += part
            self.events.append((time.monotonic() - self.started, part))
        return True

    def wait_for_prompt(self, count, longest):
        until = time.monotonic() + longest
        while self.all.count(PROMPT) < count:
            if time.monotonic() > until or not self.read(0.1):
                sys.exit(f"error: the command did not end within {longest} s:\n{self.all.decode(errors='replace')}")

    def lines(self):
        """Whole characters alone: a character that came in two parts is in the second."""
        rest = b""
        for at, part in self.events:
            part = rest + part
            # The beginning of a character whose end is still to come.
            cut = re.search(rb"(?:[\xc0-\xdf]|[\xe0-\xef][\x80-\xbf]?|[\xf0-\xf7][\x80-\xbf]{0,2})\Z", part)
            rest = cut.group() if cut else b""
            text = part[: len(part) - len(rest)].decode(errors="replace")
            if text:
                yield json.dumps([round(at, 3), "o", text], ensure_ascii=False)


def main():
    args = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    args.add_argument("--columns", type=int, default=80)
    args.add_argument("--rows", type=int, default=24)
    args.add_argument("--longest", type=float, default=120, help="seconds that the command may take")
    args.add_argument("cast")
    args.add_argument("command", nargs="+")
    args = args.parse_args()
    typed = shlex.join(args.command)
    child, terminal = pty.fork()
    if child == 0:
        environment = {name: os.environ[name] for name in ("PATH", "HOME", "KUBECONFIG") if name in os.environ}
        environment |= {"TERM": "xterm-256color", "LC_ALL": "C.UTF-8", "INPUTRC": "/dev/null", "HISTFILE": "/dev/null"}
        environment["PS1"] = "\\[\x1b[1;32m\\]$\\[\x1b[0m\\] "
        os.execvpe("bash", ["bash", "--norc", "--noprofile", "-i"], environment)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", args.rows, args.columns, 0, 0))
    os.kill(child, signal.SIGWINCH)
    recording = Recording(terminal)
    recording.wait_for_prompt(1, 10)
    for key in typed:
        os.write(terminal, key.encode())
        recording.read(KEY)
    recording.read(0.4)
    os.write(terminal, b"\r")
    recording.wait_for_prompt(2, args.longest)
    recording.read(0.2)
    os.kill(child, signal.SIGHUP)
    os.waitpid(child, 0)
    header = {"version": 2, "width": args.columns, "height": args.rows, "title": typed, "env": {"TERM": "xterm-256color"}}
    with open(args.cast, "w", encoding="utf-8") as cast:
        cast.write("\n".join([json.dumps(header), *recording.lines()]) + "\n")


main()
