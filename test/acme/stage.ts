import "reflect-metadata";
import { spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Pkcs10CertificateRequestGenerator, SubjectAlternativeNameExtension } from "@peculiar/x509";
import { dialer } from "../../agent/host/dial.ts";
import type { Host } from "../../agent/host/host.ts";
import { type Acme, AcmeConfig } from "../../agent/providerConfig/acme.ts";
import { withAcme } from "../../providers/acme/acme.ts";
import { localProvider } from "../../providers/local/local.ts";
import type { AuthorityState, JudgedCertificateArgs } from "../../providers/provider.ts";
import { type NameServer, TSIG_NAME, ZONE } from "../providers/bind.ts";
import { type Command, host } from "../providers/world.ts";
import { newKeys } from "./tls.ts";

export const NAMES = ["a.example.com", "b.example.com"] as const;
export const AUTHORITY = `acme:test/zone/${ZONE}`;

/** A request for these names, of a new P-256 key: DER. */
export async function requestFor(names: readonly string[]): Promise<Uint8Array> {
  const keys = await newKeys();
  const request = await Pkcs10CertificateRequestGenerator.create({
    name: `CN=${names[0]}`,
    keys,
    signingAlgorithm: { name: "ECDSA", hash: "SHA-256" },
    extensions: [new SubjectAlternativeNameExtension(names.map((value) => ({ type: "dns" as const, value })))],
  });
  return new Uint8Array(request.rawData);
}

export type Wish = Partial<Pick<JudgedCertificateArgs, "names" | "usages" | "validity" | "authority">> & {
  readonly acme?: Partial<Acme>;
  /** The provider's host, where it is not the real one. */
  readonly host?: Host;
};

/** The real host whose waits are short. */
export const HASTY: Host = {
  ...host,
  clock: { ...host.clock, sleep: (milliseconds, signal) => host.clock.sleep(milliseconds / 50, signal) },
};

/** The challenge records that stand in the zone, NAME VALUE each, as `dig` sees them. */
export async function challengesIn(bind: NameServer, names: readonly string[] = NAMES): Promise<string[]> {
  const found = await Promise.all(
    names.map(async (name) => {
      const record = `_acme-challenge.${name}`;
      const args = ["+tcp", "+short", "@127.0.0.1", "-p", String(bind.port), record, "TXT"];
      const child = spawn("/usr/bin/dig", args, { stdio: ["ignore", "pipe", "inherit"] });
      let text = "";
      child.stdout.on("data", (chunk: Buffer) => {
        text += chunk.toString();
      });
      const code = await new Promise((resolve) => child.once("close", resolve));
      if (code !== 0) throw new Error(`dig: ${code}`);
      return text
        .split("\n")
        .filter((line) => line !== "")
        .map((line) => `${record} ${line.replaceAll('"', "")}`);
    }),
  );
  return found.flat().sort();
}

export type Asking = {
  readonly command: Command<JudgedCertificateArgs, AuthorityState>;
  readonly deliver: string;
  readonly state: string;
  readonly provider: ReturnType<typeof localProvider>;
};

/** The provider as the agent makes it, with one authority and BIND's zone, and a command for it. */
export async function asking(
  folder: string,
  bind: NameServer,
  authority: { readonly directory: string; readonly root: string },
  wish: Wish = {},
): Promise<Asking> {
  mkdirSync(folder, { recursive: true });
  const root = join(folder, "tls-root.pem");
  writeFileSync(root, authority.root);
  const { directory } = authority;
  const acme = AcmeConfig.parse({ test: { directory, terms: "agreed", root, ...wish.acme } });
  const uid = process.geteuid?.() ?? -1;
  const setting = { uid, host: wish.host ?? host, version: "9.9.9", dial: dialer({ proxy: null, direct: new Set() }) };
  const tsig = { name: TSIG_NAME, algorithm: "hmac-sha256" as const, secret_file: bind.secretFile };
  const zones = { [ZONE]: { server: bind.server, tsig } };
  const state = join(folder, "state");
  const local = localProvider({ host }, { groups: {}, authorities: {}, zones }, join(state, "local"));
  const provider = withAcme(setting, acme, local, join(state, "acme"));
  if (provider.acme === undefined) throw new Error("there is no ACME in it");
  const names = wish.names ?? NAMES;
  const deliver = join(folder, "leaf.crt");
  const args: JudgedCertificateArgs = {
    authority: wish.authority ?? AUTHORITY,
    usages: wish.usages ?? ["server", "client"],
    validity: wish.validity ?? 400 * 86_400 * 10,
    csrDer: await requestFor(names),
    names,
    deliver,
  };
  return { command: { action: provider.acme, args, resource: args.authority }, deliver, state, provider };
}
