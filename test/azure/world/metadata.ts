/** The instance metadata service: what machine this is, and tokens of its managed identity. */
import { randomBytes } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";

export type Identity = {
  readonly tenant: string;
  /** The object id of the identity's service principal. */
  readonly principal: string;
  readonly client: string;
  readonly resource: string;
};

export type Token = { readonly audience: string; readonly until: number; readonly identity: Identity };

export type MachineOptions = {
  readonly subscription: string;
  readonly resourceGroup: string;
  readonly location: string;
  readonly system: Identity | null;
  readonly users: readonly Identity[];
};

type Claims = Readonly<Record<string, unknown>>;
/** What Entra's tokens are for that only an application that trusts the very identity takes, and how v2.0 tokens say it. */
const EXCHANGE = { resource: "api://AzureADTokenExchange", aud: "fb60f99c-7a34-4190-8149-302f77469936" };
const VM = "13f56399-bd52-4150-9748-7190aae1ff21";

export function machine(options: MachineOptions) {
  const tokens = new Map<string, Token>();
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  const state = {
    ...options,
    /** The scale set that this machine is in; "" for none. */
    scaleSet: "",
    away: false,
    /** How long a token holds. */
    seconds: 3600,
    /** What the token's claims say instead. */
    claims: {} as Record<string, unknown>,
    asked: [] as string[],
    /** Signs what an attested document says: PKCS #7, DER. Nobody's signature, for worlds in which nobody looks at it. */
    attest: async (content: string): Promise<Uint8Array> => Buffer.from(content),
    /** Signs an exchange token's claims. */
    sign: (claims: Claims): string =>
      `${part({ typ: "JWT", alg: "RS256", kid: "world" })}.${part(claims)}.${randomBytes(256).toString("base64url")}`,
  };
  /** "Access token claims reference", v2.0: the resource that Entra exchanges tokens for gets these. */
  const exchangeable = (identity: Identity): { readonly token: string; readonly until: number } => {
    const until = Math.floor(Date.now() / 1000) + state.seconds;
    const { tenant: tid, principal: oid, client: azp, resource: xms_mirid } = identity;
    const claims = {
      ...{ aud: EXCHANGE.aud, iss: `https://login.microsoftonline.com/${tid}/v2.0`, iat: until - state.seconds },
      ...{
        nbf: until - state.seconds,
        exp: until,
        azp,
        azpacr: "2",
        idtyp: "app",
        oid,
        sub: oid,
        tid,
        ver: "2.0",
        xms_mirid,
      },
      ...state.claims,
    };
    return { token: state.sign(claims), until };
  };
  /** "Attested data", a nonce of ten digits at most. */
  const document = async (nonce: string): Promise<unknown> => {
    const moment = (ms: number): string => {
      const [year = "", month, day, time] = new Date(ms).toISOString().split(/[-T.]/);
      return `${month}/${day}/${year.slice(2)} ${time} -0000`;
    };
    const timeStamp = { createdOn: moment(Date.now()), expiresOn: moment(Date.now() + 6 * 3600_000) };
    const plan = { name: "", product: "", publisher: "" };
    const said = { licenseType: "", nonce, plan, sku: "", subscriptionId: state.subscription, timeStamp, vmId: VM };
    const signature = Buffer.from(await state.attest(JSON.stringify(said))).toString("base64");
    return { encoding: "pkcs7", signature };
  };
  const issue = (audience: string, identity: Identity): { readonly token: string; readonly until: number } => {
    const until = Math.floor(Date.now() / 1000) + state.seconds;
    const claims = {
      ...{ aud: audience, iss: `https://sts.windows.net/${identity.tenant}/`, iat: until - state.seconds, exp: until },
      ...{
        tid: identity.tenant,
        oid: identity.principal,
        sub: identity.principal,
        appid: identity.client,
        idtyp: "app",
      },
      ...{ xms_mirid: identity.resource, ver: "1.0" },
      ...state.claims,
    };
    const token = `${part({ typ: "JWT", alg: "RS256" })}.${part(claims)}.${randomBytes(32).toString("base64url")}`;
    tokens.set(token, { audience, until, identity });
    return { token, until };
  };
  return {
    state,
    tokens,
    issue,
    /** As "How to use managed identities … on an Azure VM to acquire an access token" and "Azure Instance Metadata Service" have it. */
    async answer(url: URL, headers: IncomingHttpHeaders): Promise<{ readonly status: number; readonly body: unknown }> {
      state.asked.push(`${url.pathname}${url.search}`);
      if (state.away) return { status: 503, body: { error: "away" } };
      if (headers["metadata"] !== "true")
        return { status: 400, body: { error: "Bad request. Required metadata header not specified" } };
      if (headers["x-forwarded-for"] !== undefined) return { status: 400, body: { error: "Bad request" } };
      if (url.pathname === "/metadata/instance/compute") {
        if (!/^\d{4}-\d\d-\d\d$/.test(url.searchParams.get("api-version") ?? ""))
          return { status: 400, body: { error: "Bad request. api-version was not specified" } };
        const vm = state.scaleSet === "" ? "agent" : `${state.scaleSet}_0`;
        return {
          status: 200,
          body: {
            ...{
              name: vm,
              vmScaleSetName: state.scaleSet,
              location: state.location,
              vmId: VM,
            },
            ...{
              subscriptionId: state.subscription,
              resourceGroupName: state.resourceGroup,
              azEnvironment: "AzurePublicCloud",
            },
          },
        };
      }
      if (url.pathname === "/metadata/attested/document") {
        const nonce = url.searchParams.get("nonce") ?? "";
        if (!/^\d{1,10}$/.test(nonce)) return { status: 400, body: { error: "Bad request. Invalid nonce" } };
        return { status: 200, body: await document(nonce) };
      }
      if (url.pathname !== "/metadata/identity/oauth2/token") return { status: 404, body: { error: "not found" } };
      const resource = url.searchParams.get("resource");
      if (url.searchParams.get("api-version") !== "2018-02-01" || resource === null)
        return {
          status: 400,
          body: { error: "invalid_request", error_description: "Required query variable 'resource' is missing" },
        };
      const client = url.searchParams.get("client_id");
      const identity = client === null ? state.system : (state.users.find((one) => one.client === client) ?? null);
      if (identity === null)
        return { status: 400, body: { error: "invalid_request", error_description: "Identity not found" } };
      const { token, until } = resource === EXCHANGE.resource ? exchangeable(identity) : issue(resource, identity);
      return {
        status: 200,
        body: {
          ...{
            access_token: token,
            client_id: identity.client,
            expires_in: String(state.seconds),
            expires_on: String(until),
          },
          ...{ ext_expires_in: "86399", not_before: String(until - state.seconds), resource, token_type: "Bearer" },
        },
      };
    },
  };
}
export type Machine = ReturnType<typeof machine>;
