package child_test

const diesWithParent = true
