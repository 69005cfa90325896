import { InvalidArgumentError } from "commander";

export function rolloutId(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError("A rollout's number.");
  return Number(text);
}
