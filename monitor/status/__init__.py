"""What the monitor shows of itself over HTTP, on loopback alone."""
