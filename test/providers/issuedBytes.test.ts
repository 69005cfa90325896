/** An authority's bytes that do not decode are a fault of its certificate, never an end of the agent. */
import "reflect-metadata";
import { expect, test } from "bun:test";
import {
  BasicConstraintsExtension,
  Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
} from "@peculiar/x509";
import { isAuthority } from "../../providers/chain.ts";
import { faultOf } from "../../providers/issued.ts";
import { requestFor } from "../acme/stage.ts";
import { authority, certificate } from "../acme/tls.ts";

const NUMBER = new Uint8Array([0x02, 0x01, 0x01]);
const CA = new BasicConstraintsExtension(true, undefined, true);
const SIGNS = new KeyUsagesExtension(KeyUsageFlags.keyCertSign, true);

test.each([
  ["names", "2.5.29.17"],
  ["key usages", "2.5.29.15"],
  ["further usages", "2.5.29.37"],
  ["constraints", "2.5.29.19"],
])("a certificate whose %s do not decode is another than was judged", async (_, type) => {
  const names = ["a.example.com"];
  const issuer = await authority(null, "CN=Issuer");
  const good = [new SubjectAlternativeNameExtension([{ type: "dns", value: "a.example.com" }])];
  const extensions = [...good.filter((one) => one.type !== type), new Extension(type, false, NUMBER)];
  const leaf = await certificate(issuer, { subject: "CN=a.example.com", extensions });
  const args = {
    authority: "a",
    usages: ["server"] as const,
    validity: 60,
    csrDer: await requestFor(names),
    names,
    deliver: null,
  };
  const chain = [issuer.certificate];
  const wanted = { args: { ...args, usages: [...args.usages] }, chain, validity: { from: 0, until: 0 } };
  expect(faultOf(leaf.certificate, chain, wanted)).toBe("issued-other-chain");
});

test("an authority is one whose constraints decode and say so, and whose chain holds", async () => {
  const root = await authority(null, "CN=Root");
  const inter = await authority(root, "CN=Intermediate");
  expect(isAuthority([inter.certificate, root.certificate])).toBe(true);
  expect(isAuthority([root.certificate, inter.certificate])).toBe(false);
  const broken = new Extension(CA.type, true, NUMBER);
  for (const extensions of [[broken, SIGNS], [SIGNS], [new BasicConstraintsExtension(false), SIGNS]]) {
    const other = await authority(root, "CN=Intermediate", { extensions });
    expect(isAuthority([other.certificate, root.certificate])).toBe(false);
  }
});
