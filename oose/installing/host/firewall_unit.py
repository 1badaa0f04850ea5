"""The unit that loads the firewall's rules at each start, before there is a network.

Debian's own nftables.service need not be enabled. Where it is, it empties all tables when it starts
or reloads, and takes this one along (systemd.unit(5), `PartOf=`).
"""

from pathlib import Path

from oose.installing.host.firewall import RULES

UNIT = Path("/etc/systemd/system/oose-firewall.service")
# Root may read the folder of the configuration although it is another user's: that takes a
# capability (capabilities(7)).
TEXT = """\
# Made by oose; what is changed here is lost.
[Unit]
Description=Firewall of OOSE: peers' ports are for peers
Documentation=man:nft(8)
DefaultDependencies=no
Wants=network-pre.target
Before=network-pre.target shutdown.target
Conflicts=shutdown.target
After=nftables.service
PartOf=nftables.service
ReloadPropagatedFrom=nftables.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/sbin/nft -f {rules}
ExecReload=/usr/sbin/nft -f {rules}
ExecStop=/usr/sbin/nft delete table inet oose
CapabilityBoundingSet=CAP_NET_ADMIN CAP_DAC_READ_SEARCH
IPAddressDeny=any
LockPersonality=yes
MemoryDenyWriteExecute=yes
NoNewPrivileges=yes
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHome=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelTunables=yes
ProtectProc=invisible
ProtectSystem=strict
RestrictAddressFamilies=AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
UMask=0077

[Install]
WantedBy=sysinit.target
"""


def unit(rules: Path = RULES) -> str:
    """The text of `UNIT`, which loads the file `rules` (systemd.service(5))."""
    return TEXT.format(rules=rules)
