"""What makes a Debian machine one that runs oose: texts of its files, and the steps to them."""
