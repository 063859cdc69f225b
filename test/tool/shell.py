"""The Erlang shell on a terminal: line editing, history, and no work when idle.

    python3 test/tool/shell.py COMMAND...

COMMAND gets a pseudo terminal. Key presses go in, what comes out is searched;
then nothing is typed for IDLE_SECONDS, and COMMAND's processor time is read; up to
IDLE_TRIES times, as what was typed before may take its time on a machine at work.
"""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time

IDLE_SECONDS = 10
IDLE_TRIES = 3
MOST_BUSY = 0.02
PATIENCE = 600          # a hang is an error, slowness is not

LEFT, UP, CTRL_A, CTRL_E, CTRL_K, BACKSPACE = '\x1b[D', '\x1b[A', '\x01', '\x05', '\x0b', '\x7f'


class Shell:
    def __init__(self, command):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ['TERM'] = 'xterm'
            os.execvp(command[0], command)
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack('HHHH', 24, 80, 0, 0))
        self.seen = ''

    def type(self, keys):
        os.write(self.fd, keys.encode())

    def read(self, seconds):
        """What comes within `seconds`; None at the end of it all."""
        if not select.select([self.fd], [], [], seconds)[0]:
            return ''
        try:
            data = os.read(self.fd, 65536)
        except OSError:
            return None
        return data.decode(errors='replace') if data else None

    def expect(self, pattern):
        """Waits until `pattern` is in what has come; drops that and all before."""
        end = time.monotonic() + PATIENCE
        while True:
            match = re.search(pattern, self.seen)
            if match:
                self.seen = self.seen[match.end():]
                return
            data = self.read(1)
            if data is None or time.monotonic() > end:
                raise SystemExit(f'FAIL no {pattern!r} in {self.seen!r}')
            self.seen += data

    def cpu_seconds(self):
        """Processor time of the command and all it started, so far."""
        ticks, todo = 0, [self.pid]
        while todo:
            pid = todo.pop()
            try:
                with open(f'/proc/{pid}/stat') as f:
                    fields = f.read().rsplit(')', 1)[1].split()
                with open(f'/proc/{pid}/task/{pid}/children') as f:
                    todo += map(int, f.read().split())
            except FileNotFoundError:
                continue
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf('SC_CLK_TCK')

    def idle_share(self):
        """Of a processor, while nothing is typed."""
        before, began = self.cpu_seconds(), time.monotonic()
        time.sleep(IDLE_SECONDS)
        return (self.cpu_seconds() - before) / (time.monotonic() - began)

    def end(self):
        while self.read(PATIENCE) is not None:
            pass
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def main():
    shell = Shell(sys.argv[1:])
    try:
        shell.expect(r'Eshell V\S+')
        shell.expect('1> ')
        shell.type('20 + 3.\r')
        shell.expect(r'(?m)^23\s')
        # Editing: in the middle, at the ends, deleting.
        shell.expect('2> ')
        shell.type('"ac".' + LEFT * 3 + 'b' + CTRL_E + '\r')
        shell.expect(r'(?m)^"abc"\s')
        shell.expect('3> ')
        shell.type('ist_to_atom("xyz").!!' + BACKSPACE * 2 + CTRL_A + 'l' + '\r')
        shell.expect(r'(?m)^xyz\s')
        shell.expect('4> ')
        shell.type('length([1,2]). garbage' + LEFT * 8 + CTRL_K + '\r')
        shell.expect(r'(?m)^2\s')
        # History: the line of two before again, changed.
        shell.expect('5> ')
        for line in ('length', 'list_to_atom', '"abc"'):
            shell.type(UP)
            shell.expect(line)
        shell.type(LEFT * 2 + 'd' + '\r')
        shell.expect(r'(?m)^"abcd"\s')
        # Completion, and an error that the shell survives.
        shell.expect('6> ')
        shell.type('lists:keysea\t')
        shell.expect(r'lists:keysearch\(')
        shell.type('1, 2, []).\r')
        shell.expect(r'(?m)^false\s')
        shell.expect('7> ')
        shell.type('1 / 0.\r')
        shell.expect('arithmetic')
        shell.expect('8> ')
        for _ in range(IDLE_TRIES):
            busy = shell.idle_share()
            if busy < MOST_BUSY:
                break
        print(f'idle for {IDLE_SECONDS} s: {busy * 100:.2f} % of a processor')
        if busy >= MOST_BUSY:
            raise SystemExit('FAIL that is too much')
        shell.type('woken.\r')
        shell.expect(r'(?m)^woken\s')
        shell.expect('9> ')
        shell.type('halt(7).\r')
        status = shell.end()
        if status != 7:
            raise SystemExit(f'FAIL status {status}, not 7')
    finally:
        try:
            os.kill(shell.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


main()
