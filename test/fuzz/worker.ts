import { type Budget, fuzz, one } from "./engine.ts";
import type { Parser } from "./parser.ts";

/** What the watching thread asks of this one. `shared`: a counter, the length of the input that runs, its bytes. */
export type Task = {
  readonly from: string;
  readonly parser: string;
  readonly seed: number;
  readonly budget: Budget;
  /** Only this input, when it is not null. */
  readonly input: Uint8Array | null;
  readonly shared: SharedArrayBuffer;
};
export type Said = {
  readonly inputs: number;
  readonly outcomes: readonly (readonly [string, number])[];
  readonly found: { readonly base64: string; readonly fault: string } | null;
};

export const HEAD_INTS = 2;

async function run({ from, parser: name, seed, budget, input, shared }: Task): Promise<Said> {
  const { PARSERS } = (await import(from)) as { readonly PARSERS: readonly Parser[] };
  const parser = PARSERS.find((each) => each.name === name);
  if (parser === undefined) throw new Error(`no parser ${name}`);
  const [head, bytes] = [new Int32Array(shared, 0, HEAD_INTS), new Uint8Array(shared, 4 * HEAD_INTS)];
  const begin = (each: Uint8Array): void => {
    bytes.set(each.subarray(0, bytes.length));
    Atomics.store(head, 1, Math.min(each.length, bytes.length));
    Atomics.add(head, 0, 1);
  };
  if (input !== null) {
    begin(input);
    const { fault, said } = await one(parser, input);
    const found = fault === null ? null : { base64: Buffer.from(input).toString("base64"), fault };
    return { inputs: 1, outcomes: [[said, 1]], found };
  }
  const { inputs, outcomes, found } = await fuzz(parser, seed, budget, begin);
  const base64 = Buffer.from(found?.input ?? []).toString("base64");
  return { inputs, outcomes: [...outcomes], found: found === null ? null : { base64, fault: found.fault } };
}

declare const self: Worker;
self.onmessage = (event: MessageEvent<Task>): void => {
  run(event.data).then(
    (said) => self.postMessage(said),
    (error: unknown) => {
      // The watching thread hears of it as an error of this one.
      setTimeout(() => {
        throw error;
      }, 0);
    },
  );
};
