"""HTTP as oose speaks it: bodies that stream in, JSON that goes out, errors for people."""
