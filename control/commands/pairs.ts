import { InvalidArgumentError } from "commander";

/** Flags of the form NAME=VALUE. */
export type Pair = [string, string];
const NAME = /^[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$/;

export function onePair(text: string): Pair {
  const at = text.indexOf("=");
  if (at < 1) throw new InvalidArgumentError("Write NAME=VALUE.");
  return [text.slice(0, at), text.slice(at + 1)];
}

/** One more of a flag that may be given again, each name once. */
export function pair(text: string, before: Pair[]): Pair[] {
  const [name, value] = onePair(text);
  if (!NAME.test(name)) throw new InvalidArgumentError("A name has a-z 0-9 and -.");
  if (before.some(([known]) => known === name)) throw new InvalidArgumentError(`${name} is given twice.`);
  return [...before, [name, value]];
}
