import { afterAll, beforeAll, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { obtainManifest } from "../../agent/artifacts/manifest.ts";
import { manifestSource, type Obtained, patient } from "../../agent/artifacts/source.ts";
import { ed25519Private, signNote } from "../../agent/audit/note.ts";
import type { Identity } from "../../agent/identity/identity.ts";
import { type Manifest, manifestText } from "../../agent/wire/manifest.ts";
import { poisons } from "../hostile/poisons.ts";
import type { Reply } from "../identity/plane.ts";
import { enrolled, makeWorld, type World } from "../identity/world.ts";

/** Reading a manifest from a control plane that may say anything, over real TLS, and from the owner's directory. */
let w: World;
let identity: Identity;
let folder: string;
beforeAll(async () => {
  w = await makeWorld();
  await w.placeToken();
  identity = enrolled(await w.start());
  folder = mkdtempSync(join(tmpdir(), "reeve-source-"));
}, 60_000);
afterAll(() => {
  w?.end();
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
});

const MANIFEST: Manifest = {
  content: {
    agent: null,
    images: [{ name: "app", digest: `sha256:${"a".repeat(64)}`, packages: [] }],
    version: "1.2.3",
  },
  parameters: {
    cluster: "prod-eu-1",
    place: { cloud: "local", account: "", region: "" },
    images: {},
    groups: {},
    zones: [],
    authorities: [],
    names: [],
    policy: null,
  },
  says: "a release",
  type: "reeve-manifest",
  v: 1,
};
const noteOf = (text: string): string => signNote(text, "vendor.example/release", ed25519Private(Buffer.alloc(32, 7)));
const digestOf = (text: string): string => `sha256:${createHash("sha256").update(text.trimEnd()).digest("hex")}`;
const TEXT = manifestText(MANIFEST);
const never = new AbortController().signal;

/** What comes of asking for the manifest when the control plane answers this. */
async function asked(reply: Reply | null, digest = digestOf(TEXT)): Promise<string> {
  w.plane.script = (path) => (path.startsWith("/v1/manifests/") ? reply : null);
  const source = manifestSource({ control_plane: true }, w.host, identity.session);
  return outcomeOf(await obtainManifest(source, digest, never));
}
function outcomeOf(got: Awaited<ReturnType<typeof obtainManifest>>): string {
  if ("artifact" in got) return got.artifact;
  return "away" in got ? "away" : got.manifest.content.version;
}
const ok = (note: string): Reply => ({ status: 200, body: { note } });

test("the control plane's manifest is taken when its line has the digest that was asked for, and no other", async () => {
  expect(await asked(ok(noteOf(TEXT)))).toBe("1.2.3");
  const other = manifestText({ ...MANIFEST, says: "another" });
  expect(await asked(ok(noteOf(other)))).toBe("digest");
  expect(await asked(ok(noteOf(other)), digestOf(other))).toBe("1.2.3");
  expect(await asked({ status: 404, body: { code: "not-found", message: "none" } })).toBe("missing");
  expect(await asked({ status: 503, body: { code: "unavailable", message: "later" } })).toBe("away");
});

test("whatever a control plane answers instead is no manifest, and nothing of it is read", async () => {
  for (const poison of poisons()) expect(["malformed", "away"]).toContain(await asked(poison));
  const wrapped = (note: string) => asked(ok(note), digestOf(note.split("\n\n")[0] ?? ""));
  // Notes of the right digest whose text is none of ours.
  expect(await wrapped(noteOf("{}\n"))).toBe("malformed");
  expect(await wrapped(noteOf(TEXT.replace('"1.2.3"', '"01.2.3"')))).toBe("malformed");
  expect(await wrapped(noteOf(TEXT.replace('{"content"', '{ "content"')))).toBe("malformed");
  // What would be read without it is not what was signed.
  expect(await wrapped(noteOf(TEXT.replace('"groups":{}', '"groups":{"__proto__":1}')))).toBe("malformed");
  expect(await wrapped(noteOf(`${TEXT}${TEXT}`))).toBe("malformed");
  expect(await asked(ok(TEXT))).toBe("malformed");
  expect(await asked(ok("x".repeat(1_000_001)))).toBe("malformed");
  expect(await asked(ok(noteOf(`${"[".repeat(400_000)}\n`)))).toBe("digest");
}, 60_000);

test("a control plane that is silent is given up on when the command's time is over", async () => {
  w.plane.script = (path) => (path.startsWith("/v1/manifests/") ? new Promise(() => undefined) : null);
  const source = manifestSource({ control_plane: true }, w.host, identity.session);
  const stop = new AbortController();
  const got = obtainManifest(source, digestOf(TEXT), stop.signal);
  stop.abort();
  expect(outcomeOf(await got)).toBe("away");
});

test("a place that does not answer is asked some times more, and what it says is the answer", async () => {
  const waits: number[] = [];
  const stop = new AbortController();
  const clock = {
    async sleep(milliseconds: number, signal?: AbortSignal) {
      waits.push(milliseconds);
      expect(signal).toBe(stop.signal);
    },
  };
  const said = async (answers: Obtained[]): Promise<Obtained> => {
    let at = 0;
    return patient(async () => answers[Math.min(at++, answers.length - 1)] ?? { away: "" }, clock)("ab", stop.signal);
  };
  const closed = { away: "the control plane did not answer (closed)" };
  expect(await said([closed, closed, { note: "it" }])).toEqual({ note: "it" });
  expect(waits).toEqual([500, 1000]);
  const missing = { artifact: "missing", because: "none", hint: "" } as const;
  expect(await said([missing, { note: "it" }])).toEqual(missing);
  expect(waits.length).toBe(2);
  expect(await said([closed])).toEqual(closed);
  expect(waits.slice(2)).toEqual([500, 1000, 2000, 4000]);
  stop.abort();
  expect([await said([closed, { note: "it" }]), waits.length]).toEqual([closed, 6]);
});

test("the owner's directory is read without following links, and a config without a place has nothing", async () => {
  const directory = join(folder, "artifacts");
  mkdirSync(directory, { mode: 0o755 });
  const uid = process.getuid?.() ?? 0;
  const source = manifestSource({ directory, uid }, w.host, identity.session);
  const hex = digestOf(TEXT).slice("sha256:".length);
  const get = async (from = source) => outcomeOf(await obtainManifest(from, digestOf(TEXT), never));
  expect(await get()).toBe("missing");
  writeFileSync(join(folder, "elsewhere"), noteOf(TEXT), { mode: 0o644 });
  symlinkSync(join(folder, "elsewhere"), join(directory, `${hex}.manifest`));
  expect(await get()).toBe("missing");
  rmSync(join(directory, `${hex}.manifest`));
  writeFileSync(join(directory, `${hex}.manifest`), noteOf(TEXT), { mode: 0o644 });
  expect(await get()).toBe("1.2.3");
  writeFileSync(join(directory, `${hex}.manifest`), Buffer.from([0xff, 0xfe]), { mode: 0o644 });
  expect(await get()).toBe("malformed");
  expect(await get(manifestSource("none", w.host, identity.session))).toBe("missing");
});
