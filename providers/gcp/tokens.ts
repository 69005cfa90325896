import { createHash } from "node:crypto";

/** The changes of one deploy, each with a request id of its own: Google takes one for one operation. */
export const STEPS = ["template", "there", "back", "policy"] as const;
export type Step = (typeof STEPS)[number];

/** A UUID of version 8 (RFC 9562 section 5.8) out of the command's id and the step: the same however often it is asked for. */
export function stepId(command: string, step: Step): string {
  const bytes = createHash("sha256").update(`reeve ${command} ${step}`).digest().subarray(0, 16);
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x80;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = bytes.toString("hex");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

/** The name of the template that a command makes. */
export function ownTemplate(command: string): string {
  return `reeve-${command}`;
}
