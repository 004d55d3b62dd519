"""What the slow tier breaks: machines, disks, steps of the store."""
