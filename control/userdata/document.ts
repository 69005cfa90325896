import { parse, stringify } from "yaml";
import { Complaint } from "../terminal.ts";
import { SCRIPT_PATH, STAGE } from "./script.ts";

/** What AWS takes as user-data, before its base64: the least of the clouds. */
const MAX_USERDATA_BYTES = 16 * 1024;

/** What the machine is given: texts, each under its name in the stage; `policy` and `on` null where the owner's folder is a bucket. */
export type Placed = {
  readonly script: string;
  readonly config: string;
  /** Null: the machine joins by what its platform shows. */
  readonly token: string | null;
  readonly unit: string;
  readonly localGroups: string | null;
  readonly policy: string | null;
  readonly on: boolean;
};

type File = {
  readonly path: string;
  readonly permissions: string;
  readonly content: string;
  readonly encoding?: "b64";
};

const HEAD = "#cloud-config\n# Written by `reeve-control userdata`.";
const SECRET = " Holds a join token: a secret until it is used or has expired.";

/** The cloud-config. Throws a Complaint when it is larger than a cloud takes. */
export function userdata(placed: Placed): string {
  const staged = (name: string, content: string | null): File[] =>
    content === null ? [] : [file(`${STAGE}/${name}`, "0600", content)];
  const document = {
    // So that a part of the customer's own adds to it instead of replacing it.
    merge_how: [
      { name: "list", settings: ["append"] },
      { name: "dict", settings: ["no_replace", "recurse_list"] },
    ],
    write_files: [
      ...staged("reeve.yaml", placed.config),
      ...staged("token", placed.token === null ? null : `${placed.token}\n`),
      ...staged("policy.yaml", placed.policy),
      ...staged("on", placed.on ? "on\n" : null),
      ...staged("reeve.service", placed.unit),
      ...staged("local-groups.conf", placed.localGroups),
      // Last: what it takes is there when it is.
      file(SCRIPT_PATH, "0700", placed.script),
    ],
  };
  // cloud-init reads YAML 1.1, where more words than in 1.2 are no strings: they are quoted.
  const text = `${HEAD}${placed.token === null ? "" : SECRET}\n${stringify(document, { version: "1.1", lineWidth: 0, blockQuote: "literal" })}`;
  if (!Bun.deepEquals(parse(text, { version: "1.1" }), document))
    throw new Error("the user-data does not read as it was meant");
  const bytes = Buffer.byteLength(text);
  if (bytes <= MAX_USERDATA_BYTES) return text;
  throw new Complaint(
    1,
    "render user-data",
    `it has ${bytes} bytes, and AWS takes ${MAX_USERDATA_BYTES} at most`,
    "Most of it is the policy or the config: keep the policy in a bucket (owner: { bucket: … } in --config).",
  );
}

/** Whatever is not plain lines of ASCII goes as base64: two readers of YAML may not agree on where a line ends (U+0085, U+2028). */
function file(path: string, permissions: string, content: string): File {
  const plain = /^[\n -~]*$/.test(content) && !/[ \n]\n$|^[\n ]/.test(content);
  return plain
    ? { path, permissions, content }
    : { path, permissions, encoding: "b64", content: Buffer.from(content).toString("base64") };
}
