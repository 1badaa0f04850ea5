"""Kernel and disk settings for much sequential delivery to many, each with its reason.

What the kernel does well by itself is left to it: `net.core.somaxconn` is 4096 since Linux 5.4,
systemd sets `fs.file-max` to the most there can be (its NEWS of 240) and limits open files by unit,
and `net.core.rmem_max` and `wmem_max` do not limit buffers that the kernel sizes itself.
`vm.vfs_cache_pressure` stays too: what favours the names of files when a film is sent favours them
as well when a sweep has just looked at all of them, and which weighs more is not known.

Sources are named as in the kernel's tree of documents, below Documentation/.
"""

from pathlib import Path
from textwrap import wrap

from attrs import frozen

SYSCTL = Path("/etc/sysctl.d/60-oose.conf")  # after 50-default.conf, in which systemd sets a qdisc
UDEV = Path("/etc/udev/rules.d/60-oose.rules")
MIB = 1024 * 1024
DIRTY = 1024 * MIB  # at most, of memory that is to be written to disks
BUFFER = 16 * MIB  # of one connection: 1 Gbit/s over 100 ms need 12.5 MB on the way
WIDTH = 100


@frozen
class Setting:
    """One setting of the kernel; one that is `optional` may be missing, or be refused."""

    key: str
    value: str
    why: str
    optional: bool = False

    def text(self) -> str:
        """As sysctl.d(5) has it: the reason, then `key = value`."""
        minus = "-" if self.optional else ""
        return f"{remark(self.why)}{minus}{self.key} = {self.value}\n"


@frozen
class Rule:
    """One rule of udev for whole disks: what it is for, which disks, and what is set of them."""

    why: str
    matches: tuple[str, ...]
    sets: tuple[str, ...]

    def text(self) -> str:
        """As udev(7) has it."""
        disks = ('ACTION=="add|change"', 'SUBSYSTEM=="block"', 'ENV{DEVTYPE}=="disk"')
        return f"{remark(self.why)}{', '.join((*disks, *self.matches, *self.sets))}\n"


def settings(memory: int) -> tuple[Setting, ...]:
    """What is set on a machine with so many bytes of memory."""
    dirty = min(DIRTY, memory // 8)
    return (
        Setting(
            "vm.dirty_background_bytes",
            str(dirty // 4),
            "An upload is answered when its bytes are on disk. By default a tenth of the memory may"
            " wait to be written: with 64 GB of memory that is 6.4 GB, 40 seconds of a disk's work,"
            " all of it at the end. Written from here on, little is left when a file is synced."
            " (admin-guide/sysctl/vm.rst)",
        ),
        Setting(
            "vm.dirty_bytes",
            str(dirty),
            "Who writes faster than disks do waits from here on, instead of at a fifth of the"
            " memory: it is that of the page cache, which films are sent from."
            " (admin-guide/sysctl/vm.rst)",
        ),
        Setting(
            "vm.swappiness",
            "10",
            "Memory of oose and nginx is little and always needed, and a process whose pages lie in"
            " swap keeps all its viewers waiting. The page cache is mostly films that are read"
            " once: that goes first. (admin-guide/sysctl/vm.rst)",
        ),
        Setting(
            "net.ipv4.tcp_slow_start_after_idle",
            "0",
            "Players fetch a part, wait, and fetch the next on the same connection. By default a"
            " connection that was idle for about a round trip begins slowly again, each time."
            " (networking/ip-sysctl.rst; RFC 2861 is what it turns off)",
        ),
        Setting(
            "net.ipv4.tcp_mtu_probing",
            "1",
            "A viewer behind a router that drops large packets and does not say so gets headers and"
            " then nothing. With this the kernel tries smaller packets when it sees that."
            " (networking/ip-sysctl.rst; RFC 4821)",
        ),
        Setting(
            "net.ipv4.tcp_rmem",
            f"4096 131072 {BUFFER}",
            "Uploads and clones from far away: a connection takes no more in a round trip than its"
            " buffer holds. The first two numbers are the kernel's own, the last was 6 MiB; it is"
            " reached only where the path needs it. (networking/ip-sysctl.rst)",
        ),
        Setting(
            "net.ipv4.tcp_wmem",
            f"4096 16384 {BUFFER}",
            "The same for what is sent; the last number was 4 MiB. (networking/ip-sysctl.rst)",
        ),
        Setting(
            "net.core.default_qdisc",
            "fq",
            "Paces what is sent and shares the line evenly among connections; what the next setting"
            " was made with. It counts for network cards that come up afterwards: at the next"
            " start. (admin-guide/sysctl/net.rst; tc-fq(8))",
            optional=True,
        ),
        Setting(
            "net.ipv4.tcp_congestion_control",
            "bbr",
            "The default, CUBIC, takes each lost packet for a full line: over 100 ms it falls to a"
            " tenth of 100 Mbit/s when one packet in a thousand is lost, as on many a wireless"
            " path. BBR goes by what arrives. (Cardwell and others, BBR: Congestion-Based"
            " Congestion Control, ACM Queue 14-5, 2016, figure 8)",
            optional=True,
        ),
    )


RULES = (
    Rule(
        "Rotating disks: requests are sorted by place, and no read waits for long behind writes of"
        " an upload (block/deadline-iosched.rst). While many are sent to, each piece costs a seek,"
        " about 8 ms: at 150 MB/s the 128 KiB that are read ahead by default take 1 ms, so that the"
        " disk does little but seek; 1 MiB takes 7 ms. (ABI/stable/sysfs-block, read_ahead_kb)",
        ('KERNEL=="sd*"', 'ATTR{queue/rotational}=="1"'),
        ('ATTR{queue/scheduler}="mq-deadline"', 'ATTR{queue/read_ahead_kb}="1024"'),
    ),
    Rule(
        "NVMe has no seeks to save and queues of its own for each processor: what sorts requests"
        " only takes time. (block/blk-mq.rst)",
        ('KERNEL=="nvme*"',),
        ('ATTR{queue/scheduler}="none"',),
    ),
)


def sysctl(memory: int) -> str:
    """The text of `SYSCTL` for a machine with so many bytes of memory."""
    return "\n".join([head("sysctl --system"), *(each.text() for each in settings(memory))])


def udev() -> str:
    """The text of `UDEV`."""
    apply = "udevadm control --reload && udevadm trigger --subsystem-match=block"
    return "\n".join([head(apply), *(each.text() for each in RULES)])


def head(apply: str) -> str:
    """What a file says of itself, with the command that puts it in force without a restart."""
    return f"# Made by oose; what is changed here is lost. In force at once with\n# {apply}\n"


def remark(text: str) -> str:
    """Text as lines of comment."""
    return "".join(f"# {line}\n" for line in wrap(text, WIDTH - 2, break_on_hyphens=False))
