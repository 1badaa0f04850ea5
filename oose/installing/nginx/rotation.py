"""logrotate for nginx's access logs of oose: they grow with every viewer, and their disk does not.

Their names end in `.json`, since Debian's nginx has all of `/var/log/nginx/*.log` rotated, and
logrotate refuses a file that two configurations name.
"""

from pathlib import Path

ROTATION = Path("/etc/logrotate.d/oose")
TIMER = Path("/etc/systemd/system/logrotate.timer.d/oose.conf")
LOGS = "/var/log/nginx/oose-*.json"

# `nginx rotate` sends USR1, on which nginx opens its logs anew (nginx.org, Controlling nginx).
TEXT = """\
# Made by oose; what is changed here is lost.
{logs} {{
    daily
    # A log that has grown to this goes within the hour:
    # {timer}
    maxsize {largest}
    rotate {kept}
    missingok
    notifempty
    compress
    # nginx may still write into the last one for a moment.
    delaycompress
    create 0640 www-data adm
    sharedscripts
    postrotate
        invoke-rc.d nginx rotate >/dev/null 2>&1
    endscript
}}
"""
HOURLY = """\
# Made by oose; what is changed here is lost. Debian's logrotate looks once a day, and `maxsize` of
# /etc/logrotate.d/oose counts only when it does. Other logs are rotated as often as before.
[Timer]
OnCalendar=
OnCalendar=hourly
AccuracySec=5m
"""


def rotation(*, logs: str = LOGS, largest: str = "1G", kept: int = 14) -> str:
    """The text of `ROTATION` (logrotate(8)).

    A log is kept for `kept` days, or fewer where it grows by more than `largest` a day.
    """
    return TEXT.format(logs=logs, timer=TIMER, largest=largest, kept=kept)


def timer() -> str:
    """The text of `TIMER` (systemd.timer(5)): logrotate looks every hour."""
    return HOURLY
