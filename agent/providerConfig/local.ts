import { z } from "zod";
import { ResourceName } from "../wire/names.ts";
import { AbsolutePath, type ProviderConfig } from "./fields.ts";

const Address = z.string().regex(/^(?:\[[0-9a-f:]+\]|[a-zA-Z0-9.-]+):\d{1,5}$/, "HOST:PORT");

const Group = z.strictObject({
  /** Program and arguments of one machine of the group; `{n}` in an argument becomes its number, from 0. */
  command: z.array(z.string().min(1)).min(1).max(64),
  /** uid:gid the processes run under; without it, the agent's own. */
  user: z
    .string()
    .regex(/^\d+:\d+$/)
    .optional(),
  /** What is deployed, which the vendor chose, may run under the agent's own user or as root: it can then read the agent's keys and change its log. */
  deploy_as_agent: z.literal(true).optional(),
  health: z
    .discriminatedUnion("probe", [
      z.strictObject({ probe: z.literal("none") }),
      z.strictObject({
        probe: z.literal("tcp"),
        host: z.string(),
        port: z.number().int().min(1).max(65535),
        plus_n: z.boolean(),
      }),
      z.strictObject({ probe: z.literal("http"), url: z.string(), plus_n: z.boolean() }),
    ])
    .default({ probe: "none" }),
  /** How long a process that a deploy started must stay up, and be well then, before the next one is replaced. */
  ready_seconds: z.number().int().min(0).max(600).default(1),
  stop_seconds: z.number().int().min(1).max(120).default(10),
});
const Authority = z.strictObject({ directory: AbsolutePath });
const Zone = z.union([
  z.strictObject({
    server: Address,
    /** A file with the TSIG secret in base64, 0600. */
    tsig: z.strictObject({
      name: z.string(),
      algorithm: z.enum(["hmac-sha256", "hmac-sha512"]),
      secret_file: AbsolutePath,
    }),
  }),
  z.strictObject({ file: AbsolutePath }),
]);
export const LocalConfig = z.strictObject({
  groups: z.record(ResourceName, Group).default({}),
  authorities: z.record(ResourceName, Authority).default({}),
  zones: z.record(ResourceName, Zone).default({}),
});
export type LocalConfig = z.infer<typeof LocalConfig>;

const FIELD = LocalConfig.default({ groups: {}, authorities: {}, zones: {} });

export const local: ProviderConfig<typeof FIELD> = { field: FIELD, place: () => ({ cloud: "local" }) };
