import type { Command } from "commander";
import { type PagesFlags, readPagesFlags } from "../pages/access.ts";
import { readPlaces } from "../proof/places.ts";
import { serve } from "../serve.ts";
import { out } from "./state.ts";

export function addServe(top: Command): void {
  type Options = PagesFlags & {
    dir: string;
    enrol: string;
    agents: string;
    trustDomain?: string;
    bind?: string;
    proofs?: string;
  };
  top
    .command("serve")
    .description(
      "Serve agents on two listeners: enrolment, and calls by agents that have a certificate. Prints one JSON line when listening. " +
        "Which root CA is in use, and which stand beside it, is read at the start: restart it after `ca new-root`, `use-root` and `drop-root`.",
    )
    .requiredOption("--dir <folder>", "the control plane's folder: ca/ and state.db; made at the first start")
    .requiredOption("--enrol <host:port>", "the enrolment address as agents write it; port 0 takes a free one")
    .requiredOption("--agents <host:port>", "the agents' address as agents reach it; port 0 takes a free one")
    .option("--trust-domain <name>", "the vendor's trust domain, set at the first start (default vendor.example)")
    .option("--bind <address>", "bind this address instead of the hosts above")
    .option("--proofs <file>", "more places where platforms are asked who a machine is: sovereign clouds, tests")
    .option(
      "--pages <host:port>",
      "serve read-only pages of the fleet and /metrics there too, or on unix:/PATH; needs one of the next two",
    )
    .option(
      "--pages-ca <file>",
      "the pages are for whoever has a client certificate of this CA (PEM): your people's, never the agents' root",
    )
    .option(
      "--pages-proxy <header>",
      "the pages are behind a reverse proxy on this machine, which asks who it is and says so in this header",
    )
    .action(async (options: Options) => {
      const { dir, enrol, agents, trustDomain, bind } = options;
      const proofs = options.proofs === undefined ? {} : { proofs: readPlaces(options.proofs) };
      const pages = readPagesFlags(options);
      const more = { ...proofs, ...(pages === null ? {} : { pages }) };
      const serving = await serve({ dir, enrol, agents, trustDomain, bind, ...more });
      out(`${JSON.stringify(serving.ready)}\n`);
      await new Promise<void>((resolve) => {
        process.once("SIGTERM", resolve);
        process.once("SIGINT", resolve);
      });
      await serving.stop();
      process.exit(0);
    });
}
