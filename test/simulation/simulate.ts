import { installCrypto } from "./crypto.ts";
import { people } from "./owner.ts";
import { planOf } from "./plan.ts";
import { vendorKeys } from "./plane.ts";
import { installClock } from "./time.ts";
import { runWorld, START } from "./world.ts";

const seed = Number(process.argv[2] ?? 1);
const count = Number(process.argv[3] ?? 1);
const un = installClock(() => START - 3600_000);
const keys = await vendorKeys();
un();
const shared = { keys, people: people(), crypto: installCrypto() };
const began = performance.now();
let days = 0;
let steps = 0,
  changes = 0,
  bad = 0;
for (let s = seed; s < seed + count; s++) {
  const ran = await runWorld(planOf(s), shared);
  days += ran.lasted / 86_400_000;
  steps += ran.steps;
  changes += ran.changes;
  if (ran.violations.length > 0) {
    bad++;
    console.log("seed", s, ran.violations.slice(0, 2));
  }
  if (process.argv[4] === "-v") console.log(ran.trace.join("\n"), ran.digest);
}
const ms = performance.now() - began;
console.log({ days, ms, perMinute: (days / ms) * 60_000, steps, changes, bad });
keys.remove();
process.exit(0);
