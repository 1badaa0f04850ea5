"""The sweep that makes a store's disk and its records in the inventory agree, both ways."""
