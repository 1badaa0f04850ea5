"""What systemd and a service say to each other: sockets, readiness, the watchdog.

The three protocols are small and public (sd_listen_fds(3), sd_notify(3), sd_watchdog_enabled(3)),
so no library is needed. `supervision` takes what the environment has of them, once.
"""
