package mtls

// LoadAt is Load with a clock, with which a test passes the second in which files are not looked at again.
var LoadAt = loadAt
