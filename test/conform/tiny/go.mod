module reeve.test/tiny

go 1.19
