/** Numbers of enums: they are only in the descriptors of Google's own packages, not in the discovery documents. */
import { readFileSync } from "node:fs";

const DESCRIPTORS: Readonly<Record<string, string>> = {
  "compute.v1": "@google-cloud/compute/build/protos/protos.json",
  "privateca.v1": "@google-cloud/security-private-ca/build/protos/protos.json",
};

type Node = { readonly nested?: Readonly<Record<string, Node>>; readonly values?: Readonly<Record<string, number>> };
export type Numbers = readonly (readonly [string, number])[];

function enumsOf(node: Node): Readonly<Record<string, number>>[] {
  const below = Object.values(node.nested ?? {}).flatMap(enumsOf);
  return node.values === undefined ? below : [node.values, ...below];
}

/** By the names of one enum: each with its number. The enum is the one that has all these names. */
export function enumNumbers(api: string): (names: readonly string[]) => Numbers {
  const file = DESCRIPTORS[api];
  let enums: readonly Readonly<Record<string, number>>[] | null = null;
  const known = new Map<string, Numbers>();
  return (names) => {
    if (file === undefined) throw new Error(`${api} has no enums in numbers`);
    enums ??= enumsOf(JSON.parse(readFileSync(new URL(import.meta.resolve(file)), "utf8")) as Node);
    const key = names.join();
    const found = known.get(key) ?? Object.entries(enums.find((values) => names.every((name) => name in values)) ?? {});
    if (found.length === 0) throw new Error(`no enum of ${api} has ${key}`);
    known.set(key, found);
    return found;
  };
}
