import type { z } from "zod";
import { Fault, type FaultCode } from "../../agent/wire/protocol.ts";
import { FAULT_STATUS } from "../fault.ts";
import type { Answer } from "./line.ts";
import type { World } from "./world.ts";

/** What a control plane did instead of what PROTOCOL.md says, in one line. */
export class Unmet extends Error {
  override readonly name = "Unmet";
}
/** The case cannot be looked at here, and why. A case of the core is failed by it. */
export class Unseen extends Error {
  override readonly name = "Unseen";
}

/** One claim of docs/PROTOCOL.md. `run` resolves with what was seen, and throws Unmet or Unseen. */
export type Case = {
  /** `group-claim`: it is never used again for another claim. */
  readonly id: string;
  /** The part of docs/PROTOCOL.md. */
  readonly section: string;
  readonly expects: string;
  /** A control plane that does not do this is none: it cannot be skipped. */
  readonly core: boolean;
  run(world: World): Promise<string>;
};

export function must(holds: boolean, seen: string): asserts holds {
  if (!holds) throw new Unmet(seen);
}

/** What an answer is, for a person. */
function words({ status, body }: Answer): string {
  const fault = Fault.safeParse(body);
  return fault.success ? `${status} ${fault.data.code}` : `${status} ${JSON.stringify(body)?.slice(0, 120)}`;
}

/** The answer is 200, JSON, and of this form. */
export function taken<T>(answer: Answer, schema: z.ZodType<T>): T {
  must(answer.status === 200, `the answer is ${words(answer)}`);
  isJson(answer);
  const read = schema.safeParse(answer.body);
  const where = read.error?.issues[0];
  if (read.success) return read.data;
  throw new Unmet(`the answer is not of its form (${where?.path.map(String).join(".")}: ${where?.message})`);
}

/** The answer is one of these faults, in its form and with the status of the table. Its words, to be said as seen. */
export function refused(answer: Answer, ...codes: readonly FaultCode[]): string {
  must(answer.status !== 200, "it was taken (200)");
  isJson(answer);
  const fault = Fault.safeParse(answer.body);
  must(fault.success, `the answer ${words(answer)} is not {code, message} with a code of the table`);
  const { code } = fault.data;
  must(codes.includes(code), `the answer is ${words(answer)}, not ${codes.join(" or ")}`);
  must(answer.status === FAULT_STATUS[code], `${code} came with ${answer.status}, not ${FAULT_STATUS[code]}`);
  return `${answer.status} ${code}`;
}

function isJson({ type }: Answer): void {
  must(/^application\/json(?:; *charset=utf-8)?$/i.test(type), `the answer's content-type is ${JSON.stringify(type)}`);
}
