/**
 * `computed.ts FOLDER [--quick]`: what only computes, and one command's road, measured in this very process and printed as one JSON line of
 * nanoseconds. In a process of its own, for what a process may do with its memory is decided before it starts.
 */
import { parsePolicy } from "../policy/parse.ts";
import { ours, policyText } from "./decisions.ts";
import { best, perCall } from "./figure.ts";
import { roadFigure } from "./road.ts";

const RULES = 100;

const [scratch = "", flag] = process.argv.slice(2);
const quick = flag === "--quick";
const rounds = Array.from({ length: quick ? 3 : 7 });
const decide = ours(RULES);
const text = policyText(RULES);
const decision = best(rounds.map(() => perCall(decide, 100) / 2));
const policy = best(rounds.map(() => perCall(() => parsePolicy(text), 200)));
const [road] = await roadFigure({ quick }, scratch);
const milliseconds = Number.parseFloat(road?.ours ?? "");
process.stdout.write(`${JSON.stringify({ decision, policy, road: milliseconds * 1e6 })}\n`);
