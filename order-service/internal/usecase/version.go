package usecase

// stale reports whether something of a version is not what a wish is about; a wish that names no version is about any. No
// version is 0, so a wish that names that is about nothing that there is.
func stale(ifVersion *int64, version int64) bool { return ifVersion != nil && *ifVersion != version }
