"""`download`: public sets and archives."""
