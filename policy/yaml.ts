import { CST, isMap, isScalar, isSeq, Lexer, LineCounter, type Node, parseDocument } from "yaml";

/**
 * The strict YAML that policy and config are written in: YAML 1.2 core without anchors, aliases, tags, directives, merge keys, nulls,
 * duplicate keys or second spellings of numbers and truth values. What a reviewer reads is what is judged.
 */
export type YamlFault = {
  readonly offset: number;
  readonly path: Path;
  readonly message: string;
  readonly hint: string;
};
export type Path = readonly PropertyKey[];
export type Position = { readonly line: number; readonly column: number };
export type StrictYaml = {
  readonly value: unknown;
  readonly faults: readonly YamlFault[];
  /** Where the value at a path begins; of what is missing, where its nearest parent begins. */
  place(path: Path): Position;
  /** Where a key of the map at a path begins. */
  keyPlace(path: Path, key: string): Position;
  positionOf(offset: number): Position;
};

const FORBIDDEN: Readonly<Record<string, readonly [string, string]>> = {
  anchor: ["an anchor (&)", "Write the value out where it is used."],
  alias: ["an alias (*)", "Write the value out; there are no wildcards."],
  tag: ["a tag (!)", "Take it out: the schema says the type."],
  "directive-line": ["a directive (%)", "Take it out."],
  "doc-start": ["a document marker (---)", "The file is one document: take the marker out."],
  "doc-end": ["a document marker (...)", "The file is one document: take the marker out."],
};

/** In double quotes only `\"` and `\\`: any other escape would be a second spelling of what it stands for. */
const ESCAPE = /^"(?:[^\\]|\\["\\])*\\[^"\\]/;
const HIDDEN = ["an escape (\\)", "Write the character itself."] as const;

/** Looks at the tokens, so that nothing hides behind what the parser makes of them. */
function forbiddenTokens(text: string): YamlFault[] {
  const faults: YamlFault[] = [];
  let offset = 0;
  let scalar = false;
  for (const lexeme of new Lexer().lex(text)) {
    // The lexer's own marks are control characters, which the text itself cannot hold.
    if (lexeme === CST.SCALAR) {
      scalar = true;
      continue;
    }
    if (lexeme === CST.DOCUMENT || lexeme === CST.FLOW_END || lexeme === CST.BOM) continue;
    const type = scalar ? "scalar" : (CST.tokenType(lexeme) ?? "");
    const found = FORBIDDEN[type] ?? (type === "double-quoted-scalar" && ESCAPE.test(lexeme) ? HIDDEN : undefined);
    if (found !== undefined) faults.push({ offset, path: [], message: found[0], hint: found[1] });
    scalar = false;
    offset += lexeme.length;
  }
  return faults;
}

type Walk = { readonly faults: YamlFault[] };

function scalarValue(node: Node, path: Path, walk: Walk): unknown {
  const offset = node.range?.[0] ?? 0;
  const fault = (message: string, hint: string): void => {
    walk.faults.push({ offset, path, message, hint });
  };
  if (!isScalar(node)) {
    fault("not a plain value", "Write the value out.");
    return undefined;
  }
  const { value, source } = node;
  if (value === null) fault("nothing stands here", "Every field is written out.");
  if (typeof value === "number" && !/^-?(?:0|[1-9]\d*)$/.test(source ?? "")) {
    fault(`${source} is not a plain integer`, "Write a number in decimal digits only; put text in quotes.");
  }
  if (typeof value === "boolean" && source !== "true" && source !== "false") {
    fault(`${source} is not true or false`, "Write true or false.");
  }
  return value;
}

function mapValue(node: Node, path: Path, walk: Walk): unknown {
  if (!isMap<Node, Node | null>(node)) return undefined;
  // Without a prototype: `__proto__` is a key like any other, and unknown.
  const object: Record<string, unknown> = Object.create(null) as Record<string, unknown>;
  for (const pair of node.items) {
    const offset = pair.key?.range?.[0] ?? node.range?.[0] ?? 0;
    const key = isScalar(pair.key) ? pair.key.value : undefined;
    const fault = (message: string, hint: string): void => {
      walk.faults.push({ offset, path, message, hint });
    };
    if (typeof key !== "string") fault("a key that is not text", "Write a field's name.");
    else if (key === "<<") fault("a merge key (<<)", "Write the fields out.");
    else if (Object.hasOwn(object, key)) fault(`${key} stands twice`, "Keep one of the two.");
    else if (pair.value === null) fault(`${key} has no value`, "Every field is written out.");
    else object[key] = plain(pair.value, [...path, key], walk);
  }
  return object;
}

function plain(node: Node, path: Path, walk: Walk): unknown {
  if (isMap(node)) return mapValue(node, path, walk);
  if (isSeq<Node>(node)) return node.items.map((item, at) => plain(item, [...path, at], walk));
  return scalarValue(node, path, walk);
}

/** The node at a path, or its nearest parent that is there. */
function nodeAt(root: Node | null, path: Path): Node | null {
  let node = root;
  for (const step of path) {
    let next: Node | null | undefined;
    if (isMap<Node, Node | null>(node)) {
      next = node.items.find((pair) => isScalar(pair.key) && pair.key.value === step)?.value;
    } else if (isSeq<Node>(node)) next = node.items[Number(step)];
    if (next === null || next === undefined) return node;
    node = next;
  }
  return node;
}

/** Reads text that holds no carriage return, BOM or control character. Never throws on bad input. */
export function strictYaml(text: string): StrictYaml {
  const lines = new LineCounter();
  const positionOf = (offset: number): Position => {
    const at = lines.linePos(offset);
    return { line: Math.max(at.line, 1), column: Math.max(at.col, 1) };
  };
  const options = {
    version: "1.2",
    schema: "core",
    merge: false,
    strict: true,
    stringKeys: false,
    uniqueKeys: false,
  } as const;
  let root: Node | null = null;
  let value: unknown;
  const walk: Walk = { faults: [] };
  try {
    const document = parseDocument(text, { ...options, lineCounter: lines, prettyErrors: false });
    walk.faults.push(...forbiddenTokens(text));
    for (const error of [...document.errors, ...document.warnings]) {
      const hint = "The file is YAML 1.2; compare with its page in docs/.";
      walk.faults.push({ offset: error.pos[0], path: [], message: error.message.split("\n")[0] ?? "not YAML", hint });
    }
    root = document.contents;
    if (walk.faults.length === 0) {
      if (root === null)
        walk.faults.push({
          offset: 0,
          path: [],
          message: "the file is empty",
          hint: "Write every field that docs/ names.",
        });
      else value = plain(root, [], walk);
    }
  } catch (error) {
    // Only the parser's and our own recursion over absurdly deep nesting ends here.
    if (!(error instanceof RangeError)) throw error;
    const hint = "The file is a few levels deep.";
    walk.faults.push({ offset: 0, path: [], message: "nested too deep", hint });
  }
  const place = (path: Path): Position => positionOf(nodeAt(root, path)?.range?.[0] ?? 0);
  const keyPlace = (path: Path, key: string): Position => {
    const map = nodeAt(root, path);
    const pair = isMap<Node, Node | null>(map)
      ? map.items.find((each) => isScalar(each.key) && each.key.value === key)
      : undefined;
    return positionOf(pair?.key.range?.[0] ?? map?.range?.[0] ?? 0);
  };
  return { value, faults: walk.faults, place, keyPlace, positionOf };
}
