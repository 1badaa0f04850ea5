"""Installs oose with its twistd plugin; all metadata is in pyproject.toml."""

from setuptools import find_packages, setup

setup(packages=[*find_packages(include=["oose", "oose.*"]), "twisted.plugins"])
