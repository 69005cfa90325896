import "reflect-metadata";
import { Pkcs10CertificateRequestGenerator } from "@peculiar/x509";
import type { DnsArgs } from "../../../policy/asked.ts";
import type { JudgedCertificateArgs, Provider } from "../../../providers/provider.ts";
import type { Stage } from "../conformance.ts";
import { type Cloud, makeCloud } from "./cloud.ts";

const EC = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };

async function request(): Promise<Uint8Array> {
  const keys = await crypto.subtle.generateKey(EC, false, ["sign", "verify"]);
  const made = await Pkcs10CertificateRequestGenerator.create({ name: "CN=a.example.com", keys, signingAlgorithm: EC });
  return new Uint8Array(made.rawData);
}

/** The suite's worlds for a provider that stands on the tiny cloud. What is the case is the cloud's own values, and how often it was changed. */
export function stageOf(make: (cloud: Cloud) => Provider): Stage {
  const looking = (cloud: Cloud, after: () => boolean) => async () => {
    if (cloud.changes.length === 0) return "before" as const;
    return cloud.changes.length === 1 && after() ? ("after" as const) : ("other" as const);
  };
  const end = async () => undefined;
  return {
    provider: "tiny",
    scale: {
      async memory() {
        const cloud = makeCloud();
        return {
          command: { action: make(cloud).scale, args: { group: "web", count: 2 }, resource: "web" },
          absent: { group: "other", count: 2 },
          absentResource: "other",
          stale: { count: 3 },
          look: looking(cloud, () => cloud.peek("group/web") === "2"),
          end,
        };
      },
    },
    "issue-certificate": {
      async memory() {
        const cloud = makeCloud();
        const args: JudgedCertificateArgs = {
          authority: "main",
          usages: ["server"],
          validity: 3600,
          csrDer: await request(),
          names: ["a.example.com"],
          deliver: null,
        };
        return {
          command: { action: make(cloud)["issue-certificate"], args, resource: "main" },
          absent: { ...args, authority: "other" },
          absentResource: "other",
          stale: { subject: "CN=another" },
          look: looking(cloud, () => cloud.changes[0]?.startsWith("issued/") === true),
          end,
        };
      },
    },
    "update-dns": {
      async memory() {
        const cloud = makeCloud();
        const name = "www.example.com";
        const args: DnsArgs = { zone: "example.com", name, type: "A", change: "create", values: ["10.0.0.1"], ttl: 60 };
        return {
          command: { action: make(cloud)["update-dns"], args, resource: `example.com/${name}` },
          absent: { ...args, zone: "other.example" },
          absentResource: `other.example/${name}`,
          stale: { record: { values: ["10.0.0.9"], ttl: 60 } },
          look: looking(cloud, () => cloud.peek(`record/${name}/A`) === '{"values":["10.0.0.1"],"ttl":60}'),
          end,
        };
      },
    },
  };
}
