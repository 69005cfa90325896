import { expect, test } from "bun:test";
import { Manifest } from "../../agent/wire/manifest.ts";
import { holdsTo, matches } from "../../control/manifest/matches.ts";
import { matchedText } from "../../control/manifest/text.ts";

const image = (n: number, libssl: string) => ({
  name: "broker",
  digest: `sha256:${String(n).repeat(64)}`,
  packages: ["pkg:deb/debian/libc6@2.36", `pkg:deb/debian/libssl3@${libssl}`],
});
const manifest = Manifest.parse({
  type: "reeve-manifest",
  v: 1,
  says: "x",
  content: { agent: null, version: "1.0.0", images: [image(1, "3.0.15")] },
  parameters: {
    cluster: "c",
    place: { cloud: "aws", account: "1", region: "r" },
    images: { broker: "ami-1" },
    groups: { brokers: { image: "broker", count: 3 }, workers: { image: "broker", count: 1 } },
    zones: [],
    authorities: [],
    names: [],
    policy: null,
  },
});
const said = (group: string, at: string | null, count: number) => ({ group, image: at, count, healthy: count });
const older = (location: string) => (location === "ami-0" ? image(0, "3.0.11") : null);

test("a cluster whose groups run the images of its manifest is what it says, whatever the counts", () => {
  const found = matches(manifest, [said("brokers", "ami-1", 3), said("workers", "ami-1", 2)], older);
  expect(found.map(({ is }) => is)).toEqual(["as it says", "other count"]);
  expect(holdsTo(found)).toBe(true);
});

test("another image is named with the libraries that it has instead, where somebody here knows it", () => {
  const found = matches(manifest, [said("brokers", "ami-0", 3), said("workers", "ami-9", 1)], older);
  expect(holdsTo(found)).toBe(false);
  expect(found[0]?.packages).toEqual([{ package: "pkg:deb/debian/libssl3", from: ["3.0.15"], to: ["3.0.11"] }]);
  expect(found[1]).toMatchObject({ is: "other image", found: "ami-9", packages: null });
  const text = matchedText("c", "sha256:x", "now", found);
  expect(text).toContain("c is not what its manifest says");
  expect(text).toContain("brokers: other image: ami-0, not ami-1\n    ~ pkg:deb/debian/libssl3 3.0.15 -> 3.0.11\n");
  expect(text).toContain("workers: other image: ami-9, not ami-1\n    what is in that image nobody has said here\n");
});

test("a group that is not shared, that runs several images, or that the manifest does not name is not as it says", () => {
  const found = matches(manifest, [said("brokers", null, 3), said("others", "ami-1", 1)], older);
  expect(found.map(({ group, is }) => [group, is])).toEqual([
    ["brokers", "other image"],
    ["others", "not in the manifest"],
    ["workers", "not shared"],
  ]);
  expect(holdsTo(found)).toBe(false);
  expect(holdsTo([])).toBe(false);
});
