import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { APPROVAL_NAMESPACE } from "../../agent/wire/approval.ts";
import { type Ran, REEVE, ran, type World } from "../e2e/world.ts";

/** A person with a computer of their own: a folder with an SSH key, apart from the agent's machine. */
export type Person = {
  readonly name: string;
  readonly folder: string;
  readonly key: string;
  readonly publicKey: string;
};

/** The key by the real ssh-keygen. */
export function person(base: string, name: string, kind = "ed25519"): Person {
  const folder = join(base, `computer-of-${name}`);
  mkdirSync(folder, { recursive: true });
  const key = join(folder, "key");
  const made = ran("ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "", "-f", key);
  if (made.code !== 0) throw new Error(made.stderr);
  return { name, folder, key, publicKey: readFileSync(`${key}.pub`, "utf8").trim() };
}

export function peopleOf(...people: readonly Person[]): Record<string, string> {
  return Object.fromEntries(people.map(({ name, publicKey }) => [name, publicKey]));
}

/** What the approver is sent: the log's entries, by some path. */
export function entriesFor(w: World, who: Person): string {
  const file = join(who.folder, "entries.jsonl");
  writeFileSync(file, w.reeve(["audit", "show"], "--json").stdout);
  return file;
}

/** `reeve approve ID` on the person's own computer, then the signature travels into the owner's folder. */
export function approve(w: World, who: Person, id: string, ...more: string[]): Ran {
  const file = join(who.folder, `${id}.${who.name}.sig`);
  const args = [
    "approve",
    id,
    "--from",
    entriesFor(w, who),
    "--key",
    who.key,
    "--as",
    who.name,
    "--yes",
    "--out",
    file,
  ];
  const done = ran(REEVE, ...args, ...more);
  if (done.code === 0) place(w, `${id}.${who.name}`, readFileSync(file, "utf8"));
  return done;
}

export function place(w: World, name: string, text: string): void {
  mkdirSync(join(w.owner, "approvals"), { recursive: true });
  writeFileSync(join(w.owner, "approvals", `${name}.sig`), text, { mode: 0o644 });
}

/** A signature by ssh-keygen itself over given bytes. */
export function signature(who: Person, message: string, namespace = APPROVAL_NAMESPACE): string {
  const file = join(who.folder, "message");
  writeFileSync(file, message);
  ran("rm", "-f", `${file}.sig`);
  const signed = ran("ssh-keygen", "-q", "-Y", "sign", "-n", namespace, "-f", who.key, file);
  if (signed.code !== 0) throw new Error(signed.stderr);
  return readFileSync(`${file}.sig`, "utf8");
}

/** The bytes that `reeve approve --message` prints. */
export function messageFor(w: World, who: Person, id: string): string {
  const printed = ran(REEVE, "approve", id, "--from", entriesFor(w, who), "--message");
  if (printed.code !== 0) throw new Error(printed.stderr);
  return printed.stdout;
}
