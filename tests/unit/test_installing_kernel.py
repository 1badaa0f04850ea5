import re
import subprocess
from pathlib import Path

import pytest

from oose.installing.host import kernel

GIB = 1024**3
PROC = Path("/proc/sys")
PAIR = re.compile(r'(\w+)(?:\{([\w/]+)\})?(==|=)"([^"]*)"')  # udev(7): KEY{attribute}, operator


@pytest.mark.parametrize("setting", kernel.settings(64 * GIB), ids=lambda each: each.key)
def test_each_setting_is_known_to_the_kernel_and_has_its_reason(setting: kernel.Setting) -> None:
    assert (PROC / setting.key.replace(".", "/")).exists()
    assert "rst" in setting.why or "ACM" in setting.why
    assert setting.why in " ".join(kernel.sysctl(64 * GIB).replace("\n# ", " ").split())


def test_sysctl_reads_the_file(tmp_path: Path) -> None:
    file = tmp_path / kernel.SYSCTL.name
    file.write_text(kernel.sysctl(16 * GIB))
    command = ["/usr/sbin/sysctl", "--dry-run", "--load", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert done.stdout.splitlines() == [f"{e.key} = {e.value}" for e in kernel.settings(16 * GIB)]


def test_little_memory_may_hold_little_that_is_to_be_written() -> None:
    values = {each.key: each.value for each in kernel.settings(2 * GIB)}
    assert values["vm.dirty_bytes"] == str(GIB // 4)
    assert values["vm.dirty_background_bytes"] == str(GIB // 16)
    much = {each.key: each.value for each in kernel.settings(512 * GIB)}
    assert much["vm.dirty_bytes"] == str(GIB)


def test_what_may_be_missing_does_not_fail_the_start() -> None:
    lines = kernel.sysctl(GIB).splitlines()
    assert "-net.ipv4.tcp_congestion_control = bbr" in lines
    assert "-net.core.default_qdisc = fq" in lines


def test_no_line_is_longer_than_people_read() -> None:
    comments = [e for e in (kernel.sysctl(GIB) + kernel.udev()).splitlines() if e.startswith("#")]
    assert max(map(len, comments)) <= 100


def test_rules_for_disks_match_first_and_then_set() -> None:
    lines = [e for e in kernel.udev().splitlines() if e and not e.startswith("#")]
    assert len(lines) == len(kernel.RULES)
    for line in lines:
        pairs = [PAIR.fullmatch(each) for each in line.split(", ")]
        found = [each.groups() for each in pairs if each is not None]
        assert len(found) == len(pairs)
        operators = [each[2] for each in found]
        assert operators == sorted(operators, reverse=True)  # `==` before `=`
        assert {each[1] for each in found if each[2] == "="} <= {
            "queue/scheduler",
            "queue/read_ahead_kb",
        }


def test_rotating_disks_sort_and_read_ahead_and_nvme_does_neither() -> None:
    rotating, nvme = (e for e in kernel.udev().splitlines() if e.startswith("ACTION"))
    assert 'ATTR{queue/rotational}=="1"' in rotating
    assert 'ATTR{queue/scheduler}="mq-deadline"' in rotating
    assert 'KERNEL=="nvme*"' in nvme
    assert 'ATTR{queue/scheduler}="none"' in nvme
