import type { Random } from "./random.ts";

/** Bytes on which parsers stumble: ends of ranges, separators, controls, parts of UTF-8. */
const BYTES = [
  0, 1, 9, 10, 13, 32, 34, 39, 42, 44, 45, 46, 47, 48, 57, 58, 61, 92, 123, 125, 127, 128, 192, 237, 239, 255,
];
const WORDS = [
  "\u2028",
  "\ufeff",
  "\u0000",
  "\r\n",
  "\n\n",
  "__proto__",
  "constructor",
  "toString",
  "null",
  "1e999",
  "-0",
  "9007199254740993",
  "18446744073709551616",
  "\\ud800",
  "😀",
  "==",
  "\u2014 ",
  "&a [*a, *a]",
  "<<: ",
  "%",
  "..",
  "xn--",
  "é",
];
const MAX_STEPS = 4;
const MAX_REPEATS = 2000;

/** One to four changes of the bytes; `others`: of the same parser's corpus; at most `max` bytes come out. */
export function mutateBytes(random: Random, from: Uint8Array, others: readonly Uint8Array[], max: number): Uint8Array {
  let bytes: Buffer = Buffer.from(from);
  for (let step = random.below(MAX_STEPS); step >= 0; step--) bytes = change(random, bytes, others, max);
  return bytes.subarray(0, max);
}

function change(random: Random, bytes: Buffer, others: readonly Uint8Array[], max: number): Buffer {
  const at = random.below(bytes.length + 1);
  const end = Math.min(bytes.length, at + 1 + random.below(random.chance(4) ? bytes.length + 1 : 8));
  const piece = bytes.subarray(at, end);
  const splice = (...middle: Uint8Array[]): Buffer =>
    Buffer.concat([bytes.subarray(0, at), ...middle, bytes.subarray(end)]);
  switch (random.below(9)) {
    case 0: {
      const copy = Buffer.from(bytes);
      if (at < copy.length) copy[at] = (copy[at] ?? 0) ^ (1 << random.below(8));
      return copy;
    }
    case 1:
      return splice(Buffer.of(random.pick(BYTES)));
    case 2:
      return splice();
    case 3:
      return splice(piece, piece);
    case 4: {
      // So long that what is slower than its length shows.
      const times = Math.min(MAX_REPEATS, Math.floor(max / Math.max(1, piece.length)));
      return random.chance(8) ? splice(...Array<Uint8Array>(times).fill(piece)) : splice(piece, piece, piece);
    }
    case 5: {
      const other = others.length === 0 ? bytes : random.pick(others);
      const from = random.below(other.length + 1);
      return splice(other.subarray(from, from + 1 + random.below(64)));
    }
    case 6:
      return Buffer.from(bytes.subarray(0, at));
    case 7:
      return Buffer.concat([bytes.subarray(0, at), Buffer.from(random.pick(WORDS)), bytes.subarray(at)]);
    default: {
      const copy = Buffer.from(bytes);
      if (at < copy.length) copy[at] = random.pick(BYTES);
      return copy;
    }
  }
}

type Value = unknown;
const VALUES: readonly Value[] = [
  null,
  true,
  0,
  -1,
  1.5,
  2 ** 53,
  -0,
  "",
  "x",
  "*",
  "a.example.",
  "\u202e",
  "__proto__",
  [],
  {},
  [[]],
  "9".repeat(300),
  "a".repeat(5000),
];

/** The value of a text; undefined when it is no JSON. */
export function jsonOf(text: string): Value | undefined {
  try {
    return JSON.parse(text) as Value;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** One to three changes of a JSON value: another value, one less, one twice, another name, one value in another's place. */
export function mutateJson(random: Random, value: Value): Value {
  let changed = structuredClone(value);
  for (let step = random.below(3); step >= 0; step--) changed = changeOnce(random, changed);
  return changed;
}

function changeOnce(random: Random, value: Value): Value {
  if (typeof value !== "object" || value === null) return random.pick(VALUES);
  const keys = Object.keys(value);
  if (keys.length === 0 || random.chance(6)) return insert(random, value);
  const key = random.pick(keys);
  const entries = Object.entries(value);
  if (random.below(3) > 0 && typeof (value as Record<string, Value>)[key] === "object")
    return rebuilt(
      value,
      entries.map(([name, inner]) => [name, name === key ? changeOnce(random, inner) : inner]),
    );
  switch (random.below(4)) {
    case 0:
      return rebuilt(
        value,
        entries.filter(([name]) => name !== key),
      );
    case 1:
      return rebuilt(
        value,
        entries.map(([name, inner]) => [name === key ? random.pick(WORDS) : name, inner]),
      );
    case 2:
      return rebuilt(
        value,
        entries.map(([name, inner]) => [name, name === key ? random.pick(entries)[1] : inner]),
      );
    default:
      return rebuilt(
        value,
        entries.map(([name, inner]) => [name, name === key ? near(random, inner) : inner]),
      );
  }
}

/** Close to what was there, so that what is checked later is reached. */
function near(random: Random, value: Value): Value {
  if (typeof value === "number" && !random.chance(4)) return value + random.pick([1, -1, 1000, -value]);
  if (typeof value === "string" && value !== "" && !random.chance(4))
    return Buffer.from(mutateBytes(random, Buffer.from(value), [], value.length + 64)).toString("utf8");
  return random.pick(VALUES);
}

function insert(random: Random, value: object): Value {
  if (Array.isArray(value)) return [...value, value.length > 0 ? random.pick(value) : random.pick(VALUES)];
  return rebuilt(value, [...Object.entries(value), [random.pick(WORDS), random.pick(VALUES)]]);
}

function rebuilt(before: object, entries: readonly (readonly [string, Value])[]): Value {
  if (Array.isArray(before)) return entries.map(([, inner]) => inner);
  // Not by assignment: `__proto__` is to be a name like any other.
  return Object.fromEntries(entries);
}

/** DER with one element taken out, put twice, emptied, replaced by another one's or given another tag; the lengths around it are made right. */
export function mutateDer(random: Random, der: Uint8Array): Uint8Array {
  const tree = read(Buffer.from(der), 0);
  if (tree === null || tree.end !== der.length) return der;
  const all = [...nodes(tree)];
  const target = random.pick(all);
  const other = random.pick(all);
  const kind = random.below(6);
  const write = (node: Node): Buffer => {
    if (node === target)
      switch (kind) {
        case 0:
          return Buffer.alloc(0);
        case 1:
          return Buffer.concat([node.bytes, node.bytes]);
        case 2:
          return element(node.tag, Buffer.alloc(0));
        case 3:
          return Buffer.from(other.bytes);
        case 4:
          return element(node.tag ^ (1 << random.below(6)), node.bytes.subarray(node.bytes.length - node.length));
        default:
          if (node.children === null)
            return element(
              node.tag,
              Buffer.from(mutateBytes(random, node.bytes.subarray(-node.length || 0), [], 4096)),
            );
      }
    return node.children === null ? node.bytes : element(node.tag, Buffer.concat(node.children.map(write)));
  };
  return write(tree);
}

type Node = { tag: number; bytes: Buffer; length: number; end: number; children: Node[] | null };

function* nodes(node: Node): Generator<Node> {
  yield node;
  for (const child of node.children ?? []) yield* nodes(child);
}

function read(from: Buffer, at: number): Node | null {
  const [tag, first] = [from[at], from[at + 1]];
  if (tag === undefined || first === undefined) return null;
  const count = first < 0x80 ? 0 : first & 0x7f;
  if (count > 3 || at + 2 + count > from.length) return null;
  const length = count === 0 ? first : from.readUIntBE(at + 2, count);
  const start = at + 2 + count;
  const end = start + length;
  if (end > from.length) return null;
  let children: Node[] | null = null;
  if ((tag & 0x20) !== 0) {
    children = [];
    for (let next = start; next < end; ) {
      const child = read(from, next);
      if (child === null) return null;
      children.push(child);
      next = child.end;
    }
  }
  return { tag, bytes: from.subarray(at, end), length, end, children };
}

function element(tag: number, content: Buffer): Buffer {
  const { length } = content;
  if (length < 0x80) return Buffer.concat([Buffer.of(tag, length), content]);
  const size = length < 0x100 ? 1 : length < 0x10000 ? 2 : 3;
  const head = Buffer.alloc(2 + size);
  head[0] = tag;
  head[1] = 0x80 | size;
  head.writeUIntBE(length, 2, size);
  return Buffer.concat([head, content]);
}
