import type { Provider } from "../../providers/provider.ts";
import type { Config } from "../config.ts";
import type { Host } from "../host/host.ts";
import type { Machine } from "../host/machine.ts";
import type { Network } from "../host/network.ts";
import type { Survey } from "../host/survey.ts";

/** What doctor looks with. */
export type DoctorDeps = {
  readonly host: Host;
  readonly machine: Machine;
  readonly survey: Survey;
  readonly version: string;
  net(config: Config, uid: number): Network;
  provider(config: Config, uid: number): Promise<Provider>;
  /** Reads the config, or says why it is none. */
  config(path: string): { readonly config: Config } | { readonly because: string; readonly hint: string };
};
