package main

// mistake is the one deliberate mistake of this run; "" for none. Each is one that a writer of a control plane could make, and each has
// the case of `reeve-control conform` that must find it (test/conform/mistakes.test.ts).
var mistake string

var mistakes = map[string]bool{
	"token-not-burnt": true, "theft-unnoticed": true, "expired-token-taken": true, "csr-more-taken": true, "epoch-stays": true,
	"root-not-sent": true, "before-entry-0": true, "handed-out-twice": true, "not-handed-out-again": true, "two-a-resource": true,
	"take-ignored": true, "hold-ignored": true, "cancel-forgotten": true, "changed-entry-taken": true, "forged-checkpoint-taken": true,
	"root-not-compared": true, "gap-taken": true, "half-a-report": true, "older-certificate-served": true, "same-key-renewed": true,
	"copy-unnoticed": true, "shorter-taken": true, "wrong-status": true, "redirects": true, "binding-not-checked": true,
	"foreign-client": true, "others-manifest": true, "inventory-of-any-policy": true,
}

func broken(name string) bool {
	if !mistakes[name] {
		panic("no such mistake: " + name)
	}
	return mistake == name
}
