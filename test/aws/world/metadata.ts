/** EC2's instance metadata service, version 2, as its user guide describes it: a token by PUT first, then reads that carry it. */
import { randomBytes } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { Key } from "./keys.ts";

export type MetadataFault =
  | "none"
  /** Only the version without tokens: PUT is not known. */
  | "version-1-only"
  /** Every token is refused. */
  | "unauthorized"
  /** The PUT's answer dies on its way: the hop limit is one, and a container is one hop further. */
  | "hop-limit"
  | "slow"
  /** The instance has no role. */
  | "no-role"
  | "nothing-but-errors";

export type MetadataSwitches = { fault: MetadataFault; slowMilliseconds: number };

export type Instance = {
  readonly id: string;
  readonly account: string;
  readonly region: string;
  readonly tags: Readonly<Record<string, string>>;
};

export type MetadataCall = {
  readonly method: string;
  readonly path: string;
  readonly token: boolean;
  readonly ttl: string | null;
};

type Options = {
  readonly instance: Instance;
  readonly switches: MetadataSwitches;
  /** The role's credentials as they are now; the role of the key's principal is the instance's. */
  readonly credentials: () => Promise<Key>;
  readonly calls: MetadataCall[];
};

const MAX_TTL_SECONDS = 21_600;

async function document(path: string, { instance, credentials, switches }: Options): Promise<string | null> {
  const { id, account, region, tags } = instance;
  if (path === "/latest/meta-data/instance-id") return id;
  if (path === "/latest/meta-data/placement/region") return region;
  if (path === "/latest/meta-data/placement/availability-zone") return `${region}a`;
  if (path === "/latest/meta-data/tags/instance/" || path === "/latest/meta-data/tags/instance")
    return Object.keys(tags).join("\n");
  const tag = /^\/latest\/meta-data\/tags\/instance\/(.+)$/.exec(path)?.[1];
  if (tag !== undefined) return tags[decodeURIComponent(tag)] ?? null;
  if (path === "/latest/dynamic/instance-identity/document")
    return JSON.stringify({
      accountId: account,
      architecture: "x86_64",
      availabilityZone: `${region}a`,
      imageId: "ami-12c6146b",
      instanceId: id,
      instanceType: "t3.micro",
      pendingTime: "2026-11-24T08:00:00Z",
      privateIp: "10.20.0.5",
      region,
      version: "2017-09-30",
    });
  if (switches.fault === "no-role" || !path.startsWith("/latest/meta-data/iam/")) return null;
  const { secret, principal, expires } = await credentials();
  if (path === "/latest/meta-data/iam/info")
    return JSON.stringify({
      Code: "Success",
      LastUpdated: new Date().toISOString(),
      InstanceProfileArn: `arn:aws:iam::${account}:instance-profile/${principal.role}`,
      InstanceProfileId: "AIPA00000000000000000",
    });
  const folder = "/latest/meta-data/iam/security-credentials";
  if (path === folder || path === `${folder}/`) return principal.role;
  if (path !== `${folder}/${principal.role}`) return null;
  return JSON.stringify({
    Code: "Success",
    LastUpdated: new Date().toISOString(),
    Type: "AWS-HMAC",
    AccessKeyId: secret.accessKey,
    SecretAccessKey: secret.secretKey,
    Token: secret.token,
    Expiration: new Date(expires).toISOString().replace(/\.\d+/, ""),
  });
}

function giveToken(incoming: IncomingMessage, response: ServerResponse, tokens: Map<string, number>): void {
  const ttl = Number(incoming.headers["x-aws-ec2-metadata-token-ttl-seconds"] ?? "none");
  // A proxy that adds X-Forwarded-For is not the machine itself.
  if (incoming.headers["x-forwarded-for"] !== undefined) response.writeHead(403).end();
  else if (!Number.isInteger(ttl) || ttl < 1 || ttl > MAX_TTL_SECONDS) response.writeHead(400).end();
  else {
    const token = randomBytes(40).toString("base64");
    tokens.set(token, Date.now() + ttl * 1000);
    response
      .writeHead(200, { "content-type": "text/plain", "x-aws-ec2-metadata-token-ttl-seconds": String(ttl) })
      .end(token);
  }
}

async function answer(
  incoming: IncomingMessage,
  response: ServerResponse,
  options: Options,
  tokens: Map<string, number>,
) {
  const { switches, calls } = options;
  const path = incoming.url ?? "";
  const given = incoming.headers["x-aws-ec2-metadata-token"];
  const ttl = incoming.headers["x-aws-ec2-metadata-token-ttl-seconds"];
  calls.push({
    method: incoming.method ?? "",
    path,
    token: given !== undefined,
    ttl: typeof ttl === "string" ? ttl : null,
  });
  if (switches.fault === "slow") await Bun.sleep(switches.slowMilliseconds);
  if (switches.fault === "nothing-but-errors") {
    response.writeHead(503).end();
    return;
  }
  if (incoming.method === "PUT" && path === "/latest/api/token") {
    if (switches.fault === "hop-limit") return;
    if (switches.fault === "version-1-only") response.writeHead(404).end();
    else giveToken(incoming, response, tokens);
    return;
  }
  const known = typeof given === "string" && (tokens.get(given) ?? 0) > Date.now();
  const open = switches.fault === "version-1-only" ? given === undefined : known && switches.fault !== "unauthorized";
  if (incoming.method !== "GET") response.writeHead(405).end();
  else if (!open) response.writeHead(401).end();
  else {
    const body = await document(path, options);
    response.writeHead(body === null ? 404 : 200, { "content-type": "text/plain" }).end(body ?? "");
  }
}

export async function startMetadata(options: Options): Promise<{ endpoint: string; stop(): Promise<void> }> {
  const tokens = new Map<string, number>();
  const server = createServer((incoming, response) => {
    answer(incoming, response, options, tokens).catch((error: unknown) => response.writeHead(500).end(String(error)));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return {
    endpoint: `http://127.0.0.1:${address.port}`,
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
