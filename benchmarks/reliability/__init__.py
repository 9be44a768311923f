"""What survives: killed commands, full disks, damaged and malicious files."""
