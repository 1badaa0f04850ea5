"""The Object Oriented Storage Engine: keeps large media files on plain disks and delivers them."""

__version__ = "3.0.0"
