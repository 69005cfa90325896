/**
 * `bun run fuzz [--seconds 60] [--inputs N] [--parser X] [--seed S] [--input BASE64]`: mutated inputs through every parser that bytes from outside
 * reach; --seconds is for all of them together. Each parser runs in a thread of its own, so that an input that never ends can be named. What
 * does not hold is printed with its input and the command that runs it again. Ends with `N passed, N failed`: parsers.
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { Parser } from "./parser.ts";
import { HEAD_INTS, type Said, type Task } from "./worker.ts";

const MAX_INPUT_BYTES = 1 << 20;

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "60" },
    inputs: { type: "string", default: "1000000000" },
    parser: { type: "string" },
    seed: { type: "string" },
    input: { type: "string" },
    /** A module with other PARSERS; the tests of the fuzzer itself have one. */
    from: { type: "string", default: join(import.meta.dirname, "parsers.ts") },
    /** Seconds without an end after which an input counts as one that never ends. */
    hang: { type: "string", default: "120" },
  },
});
const [seconds, inputs, hang] = [Number(values.seconds), Number(values.inputs), Number(values.hang)];
const seed = values.seed === undefined ? crypto.getRandomValues(new Uint32Array(1))[0] : Number(values.seed);
if (![seconds, inputs, hang].every((each) => each > 0) || seed === undefined || !Number.isSafeInteger(seed))
  usage("--seconds, --inputs, --hang and --seed are numbers");

function usage(because: string): never {
  process.stderr.write(`error: Cannot run: ${because}.\n`);
  process.exit(2);
}

/** Runs one parser's thread to its end, or until it is stuck. */
function inThread(task: Task): Promise<Said> {
  const head = new Int32Array(task.shared, 0, HEAD_INTS);
  const worker = new Worker(join(import.meta.dirname, "worker.ts"));
  return new Promise((resolve) => {
    let [seen, since] = [-1, performance.now()];
    const current = (): string => {
      const length = Atomics.load(head, 1);
      return Buffer.from(new Uint8Array(task.shared, 4 * HEAD_INTS).slice(0, length)).toString("base64");
    };
    const end = (said: Said): void => {
      clearInterval(watch);
      worker.terminate();
      resolve(said);
    };
    const watch = setInterval(() => {
      const count = Atomics.load(head, 0);
      if (count !== seen) [seen, since] = [count, performance.now()];
      else if (performance.now() - since > hang * 1000)
        end({ inputs: count, outcomes: [], found: { base64: current(), fault: `it has not ended after ${hang} s` } });
    }, 200);
    worker.onmessage = (event: MessageEvent<Said>) => end(event.data);
    worker.onerror = (event) =>
      end({
        inputs: Atomics.load(head, 0),
        outcomes: [],
        found: { base64: current(), fault: `the thread ended: ${event.message}` },
      });
    worker.postMessage(task);
  });
}

const { PARSERS } = (await import(values.from)) as { readonly PARSERS: readonly Parser[] };
const chosen = PARSERS.filter(({ name }) => values.parser === undefined || values.parser === name);
if (chosen.length === 0)
  usage(`there is no parser ${values.parser}; there are ${PARSERS.map(({ name }) => name).join(", ")}`);
process.stdout.write(`seed ${seed}\n`);
let failed = 0;
for (const { name } of chosen) {
  const budget = { seconds: seconds / chosen.length, inputs };
  const input = values.input === undefined ? null : new Uint8Array(Buffer.from(values.input, "base64"));
  const shared = new SharedArrayBuffer(4 * HEAD_INTS + MAX_INPUT_BYTES);
  const said = await inThread({ from: values.from, parser: name, seed, budget, input, shared });
  const outcomes = said.outcomes.map(([what, count]) => `${count} ${what}`).join(", ");
  process.stdout.write(`${said.found === null ? "pass" : "FAIL"}: ${name}: ${said.inputs} inputs: ${outcomes}\n`);
  if (said.found !== null) {
    failed += 1;
    process.stdout.write(`  ${said.found.fault.replaceAll("\n", "\n  ")}\n  input ${said.found.base64}\n`);
    process.stdout.write(
      `  again: bun run fuzz --parser ${name} --input ${said.found.base64}, or --parser ${name} --seed ${seed}\n`,
    );
  }
}
process.stdout.write(`${chosen.length - failed} passed, ${failed} failed\n`);
process.exit(failed === 0 ? 0 : 1);
