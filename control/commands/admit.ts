import { type Command, InvalidArgumentError } from "commander";
import {
  type Admission,
  admissionText,
  admitPrincipal,
  BUDGET,
  dropAdmission,
  MAX_BUDGET,
  readAdmission,
  readAdmissions,
} from "../admissions.ts";
import type { Principal } from "../proof/shown.ts";
import { clusterName } from "../statement.ts";
import { Complaint, printable } from "../terminal.ts";
import { withOperator } from "./operator.ts";
import { out, withStore } from "./state.ts";

/** What each platform calls the place and who is in it, as its own console shows them. */
const FORMS = {
  aws: { of: "ACCOUNT/ROLE", form: /^(\d{12})\/([\w+=,.@-]{1,64})$/ },
  gcp: {
    of: "PROJECT/SERVICE-ACCOUNT",
    form: /^([a-z][a-z0-9-]{4,28}[a-z0-9])\/([a-z0-9-]{1,64}@[a-z0-9.-]{1,190}\.gserviceaccount\.com)$/,
  },
  azure: {
    of: "SUBSCRIPTION/PRINCIPAL",
    form: /^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/,
  },
} as const;
const PLATFORMS = ["aws", "gcp", "azure"] as const;

type Options = { aws?: Principal; gcp?: Principal; azure?: Principal; budget: number; by: string; why: string };
type Shared = { dir: string; json?: boolean };

export function addAdmit(top: Command): void {
  const admit = withOperator(
    top
      .command("admit")
      .description(
        "Say whose machine may enrol for a cluster by what its platform shows. Its first enrolment then needs a token and this proof, " +
          "later ones the proof alone, as often as the budget says; said again, the budget is whole again.",
      )
      .argument("[cluster]", "the cluster")
      .requiredOption("--dir <folder>", "the control plane's folder")
      .option("--aws <principal>", "ACCOUNT/ROLE: the role of the instance", principal("aws"))
      .option("--gcp <principal>", "PROJECT/SERVICE-ACCOUNT: by its e-mail", principal("gcp"))
      .option(
        "--azure <principal>",
        "SUBSCRIPTION/PRINCIPAL: the managed identity, by its object id",
        principal("azure"),
      )
      .option("--budget <n>", "enrolments without a human", budgetNumber, BUDGET)
      .option("--json", "print JSON"),
  ).action(async (cluster: string | undefined, options: Options & Shared) => {
    const named = PLATFORMS.flatMap((platform) => options[platform] ?? []);
    const [only, ...more] = named;
    if (cluster === undefined || only === undefined || more.length > 0)
      throw new Complaint(
        2,
        "admit",
        cluster === undefined ? "no cluster is named" : `${named.length} platforms are named`,
        "Write: reeve-control admit CLUSTER --dir DIR, and one of --aws, --gcp, --azure.",
      );
    const { budget, by, why } = options;
    const made = await withStore(options.dir, (store) =>
      admitPrincipal(store, { cluster: clusterName(cluster), principal: only, budget, by, why }),
    );
    print(options, [made], "");
  });
  admit
    .command("show")
    .description("Who may enrol, and how often still.")
    .argument("[cluster]", "of this cluster only")
    .action(async (cluster: string | undefined) => {
      const options: Shared = admit.opts();
      const found = await withStore(options.dir, (store) =>
        store.read(async (sql) => {
          if (cluster === undefined) return readAdmissions(sql);
          const one = await readAdmission(sql, clusterName(cluster));
          return one === null ? [] : [one];
        }),
      );
      print(options, found, "nobody is admitted by a platform\n");
    });
  admit
    .command("drop")
    .description("From then on a token alone enrols again, and a proof nobody.")
    .argument("<cluster>", "the cluster")
    .action(async (cluster: string) => {
      const options: Shared = admit.opts();
      const gone = await withStore(options.dir, (store) => dropAdmission(store, clusterName(cluster)));
      out(options.json ? `${JSON.stringify({ dropped: gone })}\n` : `dropped: ${printable(gone.cluster)}\n`);
    });
}

function print(options: Shared, admissions: readonly Admission[], none: string): void {
  const lines = admissions.flatMap((one) => admissionText(one).split("\n")).map(printable);
  const text = lines.length === 0 ? none : `${lines.join("\n")}\n`;
  out(options.json ? `${JSON.stringify({ admissions })}\n` : text);
}

function principal(platform: (typeof PLATFORMS)[number]): (text: string) => Principal {
  const { of, form } = FORMS[platform];
  return (text) => {
    const [, place, who] = form.exec(text) ?? [];
    if (place === undefined || who === undefined)
      throw new InvalidArgumentError(`Write ${of}, in the platform's own spelling.`);
    return { platform, place, who };
  };
}

function budgetNumber(text: string): number {
  if (!/^\d{1,3}$/.test(text) || Number(text) > MAX_BUDGET) throw new InvalidArgumentError(`0 to ${MAX_BUDGET}.`);
  return Number(text);
}
