/**
 * Certificate Authority Service as its documentation describes it: a pool of authorities, certificates under ids that the caller chooses,
 * and a request id within whose 60 minutes the same request is one certificate.
 */
import type { Structure } from "./discovery.ts";
import { type Issuer, issue, type Mistake, makeIssuer } from "./issuing.ts";
import { type Made, ServiceError } from "./made.ts";

export type PoolSwitches = {
  issueMilliseconds: number;
  /** A certificate is not found by a read for this long after it was made. */
  staleMilliseconds: number;
  tokenMilliseconds: number;
  mistake: Mistake | null;
};
type Authority = { readonly id: string; state: "ENABLED" | "DISABLED" | "STAGED"; readonly issuer: Issuer };
type Pool = {
  readonly name: string;
  readonly authorities: Authority[];
  readonly certificates: Map<string, { readonly body: Structure; readonly at: number }>;
};

export function pools(switches: PoolSwitches) {
  const all = new Map<string, Pool>();
  const tokens = new Map<string, { readonly ask: string; readonly at: number; readonly body: Structure }>();
  const named = ({ parts }: Made): string =>
    `projects/${parts["projectsId"]}/locations/${parts["locationsId"]}/caPools/${parts["caPoolsId"]}`;
  const poolAt = (made: Made): Pool => {
    const found = all.get(named(made));
    if (found === undefined) throw new ServiceError(404, "NOT_FOUND", `Resource '${named(made)}' was not found`);
    return found;
  };
  const issueOne = async (made: Made): Promise<Structure> => {
    const pool = poolAt(made);
    const [id = "", token] = [made.query["certificateId"], made.query["requestId"]];
    const ask = JSON.stringify([pool.name, id, made.body]);
    const before = token === undefined ? undefined : tokens.get(token);
    if (before !== undefined && before.at + switches.tokenMilliseconds > Date.now()) {
      if (before.ask !== ask)
        throw new ServiceError(409, "ALREADY_EXISTS", `Request ID '${token}' was used for another request`);
      return before.body;
    }
    if (!/^[a-zA-Z0-9_-]{1,63}$/.test(id))
      throw new ServiceError(400, "INVALID_ARGUMENT", "certificate_id is malformed");
    const name = `${pool.name}/certificates/${id}`;
    if (pool.certificates.has(id)) throw new ServiceError(409, "ALREADY_EXISTS", `Resource '${name}' already exists`);
    const authority = pool.authorities.find(({ state }) => state === "ENABLED");
    if (authority === undefined)
      throw new ServiceError(400, "FAILED_PRECONDITION", `There are no enabled CAs in the CaPool ${pool.name}`);
    const { config, lifetime } = made.body as { config?: Structure; lifetime?: string };
    if (config === undefined || lifetime === undefined)
      throw new ServiceError(400, "INVALID_ARGUMENT", "certificate.config and certificate.lifetime are required");
    if (switches.issueMilliseconds > 0) await Bun.sleep(switches.issueMilliseconds);
    const signed = await issue(authority.issuer, config, Number.parseInt(lifetime, 10), switches.mistake).catch(
      (error: unknown) => {
        throw error instanceof RangeError ? new ServiceError(400, "INVALID_ARGUMENT", error.message) : error;
      },
    );
    const time = new Date().toISOString();
    const body: Structure = {
      name,
      lifetime,
      config,
      subjectMode: "DEFAULT",
      issuerCertificateAuthority: `${pool.name}/certificateAuthorities/${authority.id}`,
      pemCertificate: signed.leaf,
      pemCertificateChain: signed.chain,
      createTime: time,
      updateTime: time,
    };
    pool.certificates.set(id, { body, at: Date.now() });
    if (token !== undefined) tokens.set(token, { ask, at: Date.now(), body });
    made.changed = true;
    return body;
  };
  return {
    async answer(made: Made): Promise<Structure> {
      const method = made.operation.split(".").slice(-2).join(".");
      if (method === "caPools.fetchCaCerts") {
        const { authorities } = poolAt(made);
        return {
          caCerts: authorities.map(({ issuer }) => ({
            certificates: [`${issuer.certificate.toString("pem").trim()}\n`],
          })),
        };
      }
      if (method === "certificates.create") return issueOne(made);
      if (method !== "certificates.get")
        throw new ServiceError(501, "UNIMPLEMENTED", `the world does not do ${made.operation}`);
      const found = poolAt(made).certificates.get(made.parts["certificatesId"] ?? "");
      if (found === undefined || found.at + switches.staleMilliseconds > Date.now())
        throw new ServiceError(
          404,
          "NOT_FOUND",
          `Resource '${named(made)}/certificates/${made.parts["certificatesId"]}' was not found`,
        );
      return found.body;
    },
    async make(name: string, days: number): Promise<string> {
      const issuer = await makeIssuer(`authority of ${name.split("/").at(-1)}`, days);
      all.set(name, { name, authorities: [{ id: "ca-1", state: "ENABLED", issuer }], certificates: new Map() });
      return name;
    },
    of(name: string): Pool {
      const found = all.get(name);
      if (found === undefined) throw new Error(`no pool ${name}`);
      return found;
    },
  };
}
export type Pools = ReturnType<typeof pools>;
