import { afterAll, expect, test } from "bun:test";
import { chmodSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import type { DnsArgs } from "../../policy/asked.ts";
import { localProvider } from "../../providers/local/local.ts";
import type { RecordState } from "../../providers/provider.ts";
import { act, type Command, errand, gateFor, host, recall, removeAll, scratch, see } from "./world.ts";

const root = scratch();
afterAll(() => removeAll([root]));
let files = 0;

const HEAD = `; kept as it is
$TTL 1h
@	IN SOA ns host ( 1 ; serial
	3600 600 86400 60 )
	IN NS ns
ns A 127.0.0.1
`;
function zone(text: string): string {
  const path = `${root}/zone-${++files}`;
  writeFileSync(path, text, { mode: 0o640 });
  chmodSync(path, 0o640);
  return path;
}
function command(file: string, wish: Partial<DnsArgs> = {}): Command<DnsArgs, RecordState> {
  const provider = localProvider(
    { host },
    { groups: {}, authorities: {}, zones: { "example.com": { file } } },
    `${root}/state`,
  );
  const args: DnsArgs = {
    zone: "example.com",
    name: "www.example.com",
    type: "A",
    change: "create",
    values: ["10.0.0.1"],
    ttl: 60,
    ...wish,
  };
  return { action: provider["update-dns"], args, resource: `${args.zone}/${args.name}` };
}

test("a record is created, replaced and deleted, and every other byte stays", async () => {
  const file = zone(HEAD);
  const wanted = command(file, { values: ["10.0.0.1", "10.0.0.2"] });
  const found = await see(wanted);
  expect(await recall(wanted, found)).toMatchObject({ result: "failed", code: "not-done" });
  expect(await act(wanted)).toMatchObject({ result: "succeeded" });
  expect(await recall(wanted, found)).toMatchObject({ result: "succeeded", known_by: "state" });
  expect(readFileSync(file, "utf8")).toBe(
    `${HEAD}www.example.com. 60 IN A 10.0.0.1\nwww.example.com. 60 IN A 10.0.0.2\n`,
  );
  expect(await act(command(file, { change: "replace", values: ["10.0.0.3"] }))).toMatchObject({ result: "succeeded" });
  expect(readFileSync(file, "utf8")).toBe(`${HEAD}www.example.com. 60 IN A 10.0.0.3\n`);
  expect(await act(command(file, { change: "delete", values: [] }))).toMatchObject({ result: "succeeded" });
  expect(readFileSync(file, "utf8")).toBe(HEAD);
  expect(statSync(file).mode & 0o777).toBe(0o640);
});

test.each([
  ["TXT", 'a "b" \\ ; ( é'],
  ["TXT", "x".repeat(600)],
  ["AAAA", "2001:db8::1"],
  ["CNAME", "target.example.net"],
] as const)("%s %s is read back as it was written", async (type, value) => {
  const file = zone(HEAD);
  expect(await act(command(file, { type, values: [value] }))).toMatchObject({ result: "succeeded" });
  expect(await see(command(file, { type }))).toEqual({ record: { values: [value], ttl: 60 } });
});

test.each([
  ["relative name, default TTL", "www A 10.0.0.1\n", 3600],
  [
    "another origin",
    "$ORIGIN sub.example.com.\nwww A 10.9.9.9\n$ORIGIN example.com.\nwww 5m IN A 10.0.0.1 ; comment\n",
    300,
  ],
  ["class before TTL, upper case", "WWW.Example.COM. in 90 a 10.0.0.1\n", 90],
])("a record is found under %s", async (_, text, ttl) => {
  expect(await see(command(zone(HEAD + text)))).toEqual({ record: { values: ["10.0.0.1"], ttl } });
});

test.each([
  ["$INCLUDE other\n"],
  ["$GENERATE 1-9 www A 10.0.0.$\n"],
  ["www ( A\n 10.0.0.1 )\n"],
  ["www A 10.0.0.1\n  A 10.0.0.2\n"],
  ["www A 10.0.0.1\n  TXT x\n"],
  ["www 60 A 10.0.0.1\nwww 61 A 10.0.0.2\n"],
  ["www A 10.0.0.300\n"],
  ["www A\n"],
  ["www CH A 10.0.0.1\n"],
  ["w\\119w A 10.0.0.1\n"],
  ['www TXT "x\n'],
  ["www ( A 10.0.0.1\n"],
  ["www A 10.0.0.1\r\n"],
])("a file that cannot be read in one way only is refused: %j", async (text) => {
  const file = zone(HEAD + text);
  const { action, args, resource } = command(file);
  const seen = await action.describe(gateFor(action, args, resource, { phase: "read" }).gate, args, errand());
  expect(seen).toEqual({ unreadable: "zonefile-unclear" });
});

test("a file that was changed meanwhile, or holds an alias there, is not overwritten", async () => {
  const file = zone(HEAD);
  const late = await act(command(file), { beforeChange: () => undefined }, errand(), {
    record: { values: ["10.5.5.5"], ttl: 1 },
  });
  expect(late).toMatchObject({ result: "failed", code: "exists" });
  const replaced = command(zone(`${HEAD}www 60 A 10.6.6.6\n`), { change: "replace" });
  expect(await act(replaced, {}, errand(), { record: { values: ["10.5.5.5"], ttl: 60 } })).toMatchObject({
    result: "failed",
    code: "concurrent",
  });
  expect(await act(command(zone(`${HEAD}www CNAME ns\n`)))).toMatchObject({
    result: "failed",
    code: "concurrent",
    changed: [],
  });
  expect(await act(command(zone(`${HEAD}www MX 1 ns\n`), { type: "CNAME", values: ["a.example"] }))).toMatchObject({
    result: "failed",
    code: "concurrent",
  });
  expect(readFileSync(file, "utf8")).toBe(HEAD);
});

test("a link instead of the file is not followed", async () => {
  const link = `${root}/link`;
  symlinkSync(zone(HEAD), link);
  const { action, args, resource } = command(link);
  expect(await action.describe(gateFor(action, args, resource, { phase: "read" }).gate, args, errand())).toEqual({
    unreadable: "ELOOP",
  });
});
