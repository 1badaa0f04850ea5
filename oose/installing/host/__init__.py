"""What a machine is beside its prisms and stores: a firewall, and settings of kernel and disks."""
