import { canonical, type Json } from "../../agent/wire/canonical.ts";
import { digestOf } from "../../agent/wire/envelope.ts";
import { checksumOf, type Manifest, manifestText, readManifest } from "../../agent/wire/manifest.ts";
import { SharedRequest } from "../../agent/wire/protocol.ts";
import { difference } from "../../control/manifest/diff.ts";
import { matches } from "../../control/manifest/matches.ts";
import { readPurl } from "../../control/manifest/purl.ts";
import { readSbom } from "../../control/manifest/sbom.ts";
import { matchedText, manifestText as shownText } from "../../control/manifest/text.ts";
import { jsonOf, mutateBytes, mutateJson } from "./mutate.ts";
import { bytesOf, must, type Parser, textOf } from "./parser.ts";
import type { Random } from "./random.ts";

/** What is said of what runs: a manifest, which the agent reads too; an SBOM of anybody's making; what an agent shares of its cluster. */
const D = (digit: string): string => `sha256:${digit.repeat(64)}`;
const MANIFEST: Manifest = {
  type: "reeve-manifest",
  v: 1,
  says: "release 41",
  content: {
    agent: { version: "0.1.0", digest: D("0") },
    images: [
      {
        name: "broker",
        digest: D("1"),
        files: D("2"),
        packages: ["pkg:deb/debian/libssl3@3.0.11-1~deb12u2?arch=amd64", "pkg:npm/%40hono/node-server@1.2.3"],
      },
      { name: "worker", digest: D("3"), packages: [] },
    ],
    version: "4.1.0",
  },
  parameters: {
    cluster: "prod-eu-1",
    place: { cloud: "aws", account: "111122223333", region: "eu-west-1" },
    images: { broker: "ami-0abc1234" },
    groups: { brokers: { image: "broker", count: 3 }, workers: { image: "worker", count: 0 } },
    zones: ["Z0123456789ABCDEFGHIJ"],
    authorities: [],
    names: ["prod-eu-1.example.com"],
    policy: D("4"),
  },
};

function manifest(input: Uint8Array): string {
  const text = textOf(input);
  const read = readManifest(text);
  if ("fault" in read) {
    must(read.fault !== "", "a refusal without words");
    return "refused";
  }
  must(manifestText(read.manifest) === text, "a manifest that is written otherwise than it was read");
  must(read.digest === digestOf(text.slice(0, -1)), "another digest than that of its line");
  const { same, checksums } = difference(MANIFEST, read.manifest);
  must(checksums[1] === checksumOf(read.manifest.content), "another checksum than that of its content");
  must(same === (checksums[0] === checksums[1]), "the same, with two checksums");
  must(shownText({ ...read, note: "", signers: [] }, true) !== "", "a manifest that cannot be shown");
  return "taken";
}

/** Another document in canonical JSON, so that what stands behind its form is reached. */
function manifestBytes(random: Random, sample: Uint8Array): Uint8Array {
  const before = random.chance(4) ? undefined : jsonOf(textOf(sample));
  if (before === undefined) return mutateBytes(random, sample, [], 70_000);
  try {
    return bytesOf(`${canonical(mutateJson(random, before) as Json)}\n`);
  } catch (error) {
    // What was drawn has no canonical form.
    if (error instanceof RangeError || error instanceof TypeError) return mutateBytes(random, sample, [], 70_000);
    throw error;
  }
}

const LIBSSL = "pkg:deb/debian/libssl3@3.0.11-1~deb12u2?arch=amd64";
const SERVER = "pkg:npm/%40hono/node-server@1.2.3";
const CYCLONEDX = [
  {
    bomFormat: "CycloneDX",
    specVersion: "1.6",
    metadata: { component: { type: "application", name: "app", version: "1.2.3", purl: "pkg:npm/app@1.2.3" } },
    components: [
      { type: "library", name: "libssl3", version: "3.0.11-1~deb12u2", purl: LIBSSL },
      { type: "library", name: "app", components: [{ type: "library", name: "node-server", purl: SERVER }] },
      { type: "file", name: "readme" },
    ],
  },
  { bomFormat: "CycloneDX", specVersion: "1.4", components: [] },
];
const purl = (referenceLocator: string) => ({
  referenceCategory: "PACKAGE-MANAGER",
  referenceType: "purl",
  referenceLocator,
});
const SPDX = [
  {
    spdxVersion: "SPDX-2.3",
    packages: [
      { name: "libssl3", versionInfo: "3.0.11-1~deb12u2", externalRefs: [purl(LIBSSL), purl(SERVER)] },
      { name: "handmade", versionInfo: "9" },
    ],
  },
  { spdxVersion: "SPDX-2.2", packages: [] },
];

function sbom(input: Uint8Array): string {
  const read = readSbom(textOf(input));
  if ("fault" in read) {
    must(read.fault !== "", "a refusal without words");
    return "refused";
  }
  must(
    read.packages.every((one, at) => at === 0 || (read.packages[at - 1] ?? "") < one),
    "packages out of order, or one twice",
  );
  for (const one of read.packages) must(readPurl(one)?.purl === one, `a package that is spelt in two ways: ${one}`);
  return "taken";
}

const SHARED = [
  {
    kind: "inventory",
    policy: D("4"),
    groups: [
      { group: "brokers", image: "ami-0abc1234", count: 3, healthy: 3 },
      { group: "others", image: null, count: 1, healthy: 0 },
    ],
  },
  { kind: "inventory", policy: D("4"), groups: null },
  { kind: "policy", digest: D("4"), text: "version: 1\n" },
];

function shared(input: Uint8Array): string {
  const value = jsonOf(textOf(input));
  const read = SharedRequest.safeParse(value);
  if (!read.success) return "refused";
  must(Bun.deepEquals(value, read.data, true), "what was read is not what was said");
  if (read.data.kind !== "inventory" || read.data.groups === null) return "taken, nothing to compare";
  const found = matches(MANIFEST, read.data.groups, () => MANIFEST.content.images[1] ?? null);
  for (const { group } of read.data.groups)
    must(
      found.some((one) => one.group === group),
      `a group that is not compared: ${group}`,
    );
  must(matchedText("c", D("5"), "now", found) !== "", "an inventory that cannot be shown");
  return "taken";
}

function asJson(random: Random, sample: Uint8Array): Uint8Array {
  const value = random.chance(4) ? undefined : jsonOf(textOf(sample));
  return value === undefined
    ? mutateBytes(random, sample, [], 70_000)
    : bytesOf(JSON.stringify(mutateJson(random, value)));
}

const corpus = (values: readonly object[]): Uint8Array[] => values.map((value) => bytesOf(JSON.stringify(value)));
export const MANIFESTS: readonly Parser[] = [
  {
    name: "manifest",
    maxBytes: 80_000,
    corpus: [bytesOf(manifestText(MANIFEST))],
    mutate: manifestBytes,
    hold: manifest,
  },
  { name: "cyclonedx", maxBytes: 80_000, corpus: corpus(CYCLONEDX), mutate: asJson, hold: sbom },
  { name: "spdx", maxBytes: 80_000, corpus: corpus(SPDX), mutate: asJson, hold: sbom },
  { name: "shared", maxBytes: 80_000, corpus: corpus(SHARED), mutate: asJson, hold: shared },
];
