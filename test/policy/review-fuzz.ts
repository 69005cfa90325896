/**
 * `bun run review-fuzz [--pairs 100000] [--seed S]`: random pairs of policies, reviewed, and random sequences of commands, states, times, histories
 * and approvals through both. Prints how much was looked at; exit code 1 when the review and the PDP disagree about anything.
 */
import { parseArgs } from "node:util";
import { fuzz } from "./review-property.ts";

const { values } = parseArgs({ options: { pairs: { type: "string", default: "100000" }, seed: { type: "string" } } });
const pairs = Number(values.pairs);
const seed = values.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(values.seed);
if (!Number.isSafeInteger(pairs) || pairs < 1 || !Number.isSafeInteger(seed)) {
  process.stderr.write("error: Cannot run: --pairs and --seed are whole numbers.\n");
  process.exit(2);
}
const { line, disagreement } = fuzz(pairs, seed);
process.stdout.write(`${line}\n`);
if (disagreement !== null) {
  process.stdout.write(`${disagreement}\n`);
  process.exit(1);
}
