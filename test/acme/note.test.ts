/** What a command notes of its order: what is written can be read again, and what cannot be read keeps nobody else from the authority. */
import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { AcmeContext } from "../../providers/acme/call.ts";
import { MAX_NOTE_BYTES } from "../../providers/acme/limits.ts";
import { type Note, noteBook } from "../../providers/acme/note.ts";
import { CallFailed } from "../../providers/provider.ts";
import { host, removeAll, scratch } from "../providers/world.ts";

const root = scratch();
afterAll(() => removeAll([root]));

function book() {
  const state = mkdtempSync(join(root, "state-"));
  const context = { setting: { host }, state } as unknown as AcmeContext;
  return { orders: join(state, "orders"), ...noteBook(context) };
}

function note(wish: Partial<Note> = {}): Note {
  return {
    command: host.random.uuidv7(),
    authority: "acme:test/zone/example.com",
    account: "https://localhost/account/1",
    order: "https://localhost/order/1",
    step: "ordered",
    records: [{ name: "_acme-challenge.a.example.com", value: "x" }],
    validity: { min: 1, max: 60 },
    ...wish,
  };
}

function codeOf(then: () => unknown): string {
  try {
    then();
  } catch (error) {
    if (error instanceof CallFailed) return error.status;
    throw error;
  }
  return "none";
}

test("what was written is read again, and gone once it is removed", () => {
  const { read, write, remove, all } = book();
  const one = note();
  expect([read(one.command), all()]).toEqual([null, []]);
  write(one);
  expect([read(one.command), all()]).toEqual([one, [one]]);
  remove(one.command);
  expect([read(one.command), all()]).toEqual([null, []]);
});

test("notes that cannot be read are passed over among all, and each is a fault for its own command", () => {
  const { orders, read, write, all } = book();
  const one = note();
  write(one);
  mkdirSync(orders, { recursive: true });
  const bad: Record<string, string> = {
    empty: "",
    cut: JSON.stringify(note()).slice(0, 40),
    other: "{}",
    long: JSON.stringify(note({ order: "x".repeat(MAX_NOTE_BYTES) })),
  };
  for (const [name, text] of Object.entries(bad)) writeFileSync(join(orders, `${name}.json`), text);
  symlinkSync(join(orders, `${one.command}.json`), join(orders, "link.json"));
  expect(all()).toEqual([one]);
  for (const name of [...Object.keys(bad), "link"]) expect(codeOf(() => read(name))).toBe("note");
});

test("one that would be too long to be read is not written", () => {
  const { orders, read, write } = book();
  const whole = note();
  const room = MAX_NOTE_BYTES - JSON.stringify({ ...whole, order: "" }).length;
  write({ ...whole, order: "x".repeat(room) });
  expect(read(whole.command)?.order).toHaveLength(room);
  const other = note({ order: "x".repeat(room + 1) });
  expect(codeOf(() => write(other))).toBe("note");
  expect(readdirSync(orders)).toEqual([`${whole.command}.json`]);
});
