import { randomBytes } from "node:crypto";
import { newBook, started } from "../book.ts";
import { type Case, refused } from "../case.ts";
import { newKey } from "../keys.ts";
import { reporting, stillWants, wants } from "./reports.ts";

/** The same note, the last byte of its signature another one. */
function spoilt(note: string): string {
  const at = note.lastIndexOf(" ") + 1;
  const bytes = Buffer.from(note.slice(at), "base64");
  bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
  return `${note.slice(0, at)}${bytes.toString("base64")}\n`;
}

const SECTION = "Agents' listener (client certificate required)";

export const HEAD_CASES: readonly Case[] = [
  {
    id: "report-forged-head",
    section: SECTION,
    expects: "a checkpoint whose signature is not the log's key's is `malformed`, and nothing of it is kept",
    core: true,
    async run(world) {
      const { speaker, line } = await reporting(world);
      speaker.book.add(started(speaker.newProcess()));
      const head = spoilt(speaker.book.head(2, {}));
      const seen = refused(await speaker.reported(line, 1, speaker.book.lines.slice(1), head), "malformed");
      await stillWants({ speaker, line }, 1);
      return seen;
    },
  },
  {
    id: "report-wrong-root",
    section: SECTION,
    expects: "a signed checkpoint that is not the root of what was handed in is `fenced`",
    core: true,
    async run(world) {
      const { speaker, line } = await reporting(world);
      speaker.book.add(started(speaker.newProcess()));
      const head = speaker.book.head(2, { root: randomBytes(32) });
      return refused(await speaker.reported(line, 1, speaker.book.lines.slice(1), head), "fenced");
    },
  },
  {
    id: "report-head-ahead",
    section: SECTION,
    expects:
      "a checkpoint ahead of the entries is kept, and compared when these come: others than it promised are `fenced`",
    core: true,
    async run(world) {
      const { speaker, line } = await reporting(world);
      speaker.book.add(started(speaker.newProcess()));
      await speaker.poll(line, speaker.newProcess(), { checkpoint: speaker.book.head(2, { root: randomBytes(32) }) });
      return refused(await speaker.reported(line, 1, speaker.book.lines.slice(1)), "fenced");
    },
  },
  {
    id: "report-head-ahead-asked",
    section: SECTION,
    expects: "so is one that came with an empty report",
    core: true,
    async run(world) {
      const { speaker, line } = await reporting(world);
      speaker.book.add(started(speaker.newProcess()));
      wants(await speaker.reported(line, 1, [], speaker.book.head(2, { root: randomBytes(32) })), 1);
      return refused(await speaker.reported(line, 1, speaker.book.lines.slice(1)), "fenced");
    },
  },
  {
    id: "report-uncovered",
    section: SECTION,
    expects: "a checkpoint that does not cover the entries is `malformed`",
    core: true,
    async run(world) {
      const { speaker, line } = await reporting(world);
      const head = speaker.book.head(1);
      speaker.book.add(started(speaker.newProcess()));
      const seen = refused(await speaker.reported(line, 1, speaker.book.lines.slice(1), head), "malformed");
      await stillWants({ speaker, line }, 1);
      return seen;
    },
  },
  {
    id: "report-entry-0-unbound",
    section: SECTION,
    expects: "an entry 0 whose log key the certificate's key did not sign is `malformed`",
    core: true,
    async run(world) {
      const speaker = await world.enrolled();
      const line = await speaker.line();
      const other = newBook(speaker, speaker.slot.chain, (await newKey()).key);
      return refused(await speaker.reported(line, 0, other.lines, other.head()), "malformed");
    },
  },
  {
    id: "report-entry-0-other-certificate",
    section: SECTION,
    expects: "an entry 0 by a certificate of another cluster is `malformed`",
    core: true,
    async run(world) {
      const [speaker, other] = [await world.enrolled(), await world.enrolled()];
      const book = newBook(speaker, other.slot.chain, other.slot.key.key);
      return refused(await speaker.reported(await speaker.line(), 0, book.lines, book.head()), "malformed");
    },
  },
  {
    id: "report-entry-0-missing",
    section: SECTION,
    expects: "a log that does not begin with its `epoch` entry is `malformed`",
    core: true,
    async run(world) {
      const speaker = await world.enrolled();
      const text = (speaker.book.lines[0] ?? "").replace('"kind":"epoch"', '"kind":"stopped"');
      speaker.book.lines[0] = text;
      return refused(await speaker.reported(await speaker.line(), 0, [text]), "malformed");
    },
  },
];
