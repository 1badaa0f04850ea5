"""Installs oose; all metadata is in pyproject.toml, this only adds the twistd plugin."""

from setuptools import setup

setup(packages=["twisted.plugins"], package_data={"twisted": ["plugins/oose_plugin.py"]})
