import { type Address, addressText, type Cidr, parseAddress } from "../address.ts";
import type { DnsType } from "../asked.ts";
import type { RuleFor } from "../policy.ts";

type Values = RuleFor<"update-dns">["values"];

/** The values of one record type in finitely many parts, such that each rule holds a part whole or not at all. */
export type ValueParts = {
  bitsOf(values: Values): bigint;
  /** -1 when no rule holds the value, or it is not spelled as it must be. */
  partOf(value: string): number;
  sample(part: number): string;
  words(bits: bigint): string;
};

/** Addresses as one number each; both ends included. */
type Block = { readonly first: bigint; readonly last: bigint };

function numberOf(address: Address): bigint {
  return address.reduce((all, byte) => (all << 8n) | BigInt(byte), 0n);
}

function textOf(number: bigint, length: number): string {
  return addressText(Array.from({ length }, (_, at) => Number((number >> BigInt(8 * (length - 1 - at))) & 255n)));
}

function blockOf({ bytes, bits }: Cidr): Block {
  const first = numberOf(bytes);
  return { first, last: first + (1n << BigInt(bytes.length * 8 - bits)) - 1n };
}

/** A run of addresses as the fewest CIDRs. */
function cidrsOf({ first, last }: Block, length: number): readonly string[] {
  const found: string[] = [];
  for (let at = first; at <= last; ) {
    let free = 0n;
    while (
      free < BigInt(length * 8) &&
      (at & ((1n << (free + 1n)) - 1n)) === 0n &&
      at + (1n << (free + 1n)) - 1n <= last
    )
      free++;
    found.push(`${textOf(at, length)}/${BigInt(length * 8) - free}`);
    at += 1n << free;
  }
  return found;
}

/** The blocks between all places where some CIDR begins or ends, as far as a CIDR holds them. */
function elementary(cidrs: readonly Cidr[]): readonly Block[] {
  const blocks = cidrs.map(blockOf);
  const cuts = [...new Set(blocks.flatMap(({ first, last }) => [first, last + 1n]))].sort((a, b) =>
    a < b ? -1 : a > b ? 1 : 0,
  );
  return cuts
    .slice(0, -1)
    .map((first, at) => ({ first, last: (cuts[at + 1] ?? first + 1n) - 1n }))
    .filter((part) => blocks.some(({ first, last }) => first <= part.first && part.last <= last));
}

/** Neighbours become one run. */
function runs(parts: readonly Block[]): readonly Block[] {
  const found: Block[] = [];
  for (const part of parts) {
    const before = found.at(-1);
    if (before !== undefined && before.last + 1n === part.first) {
      found[found.length - 1] = { first: before.first, last: part.last };
    } else found.push(part);
  }
  return found;
}

function addressParts(length: 4 | 16, every: readonly Values[]): ValueParts {
  const ours = (values: Values): readonly Cidr[] =>
    "within" in values ? values.within.filter((cidr) => cidr.bytes.length === length) : [];
  const parts = elementary(every.flatMap(ours));
  const chosen = (bits: bigint): readonly Block[] => parts.filter((_, at) => ((bits >> BigInt(at)) & 1n) === 1n);
  return {
    bitsOf(values) {
      const blocks = ours(values).map(blockOf);
      const held = (part: Block): boolean => blocks.some(({ first, last }) => first <= part.first && part.last <= last);
      return parts.reduce((all, part, at) => (held(part) ? all | (1n << BigInt(at)) : all), 0n);
    },
    partOf(value) {
      const address = parseAddress(value);
      if (address === null || address.length !== length) return -1;
      const number = numberOf(address);
      return parts.findIndex(({ first, last }) => first <= number && number <= last);
    },
    sample(at) {
      const part = parts[at];
      if (part === undefined) throw new Error("there is no such part");
      // The first address of a block is often a network's own.
      return textOf(part.last - part.first > 2n ? part.first + 1n : part.first, length);
    },
    words: (bits) =>
      runs(chosen(bits))
        .flatMap((run) => cidrsOf(run, length))
        .join(", "),
  };
}

function textParts(every: readonly Values[]): ValueParts {
  const parts = [...new Set(every.flatMap((values) => ("exactly" in values ? values.exactly : [])))];
  return {
    bitsOf: (values) =>
      parts.reduce(
        (all, part, at) => ("exactly" in values && values.exactly.includes(part) ? all | (1n << BigInt(at)) : all),
        0n,
      ),
    partOf: (value) => parts.indexOf(value),
    sample: (at) => parts[at] ?? "",
    words: (bits) =>
      parts
        .filter((_, at) => ((bits >> BigInt(at)) & 1n) === 1n)
        .map((part) => JSON.stringify(part))
        .join(", "),
  };
}

export function valueParts(type: DnsType, every: readonly Values[]): ValueParts {
  if (type === "A") return addressParts(4, every);
  return type === "AAAA" ? addressParts(16, every) : textParts(every);
}
