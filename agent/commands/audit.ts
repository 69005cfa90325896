import { Command } from "commander";
import type { Machine } from "../host/machine.ts";
import { archiveCommand } from "./auditArchive.ts";
import { exportCommand } from "./auditExport.ts";
import { proveCommand } from "./auditProve.ts";
import { showCommand } from "./auditShow.ts";
import { uiCommand } from "./auditUi.ts";
import { verifyCommand } from "./auditVerify.ts";
import type { ProviderOf } from "./fetchedLog.ts";
import { reconcileCommand } from "./reconcile.ts";

/** `audit`: reads the log without its lock, so that it works beside a running agent and on a copy. */
export function auditCommand(machine: Machine, provider: ProviderOf): Command {
  const audit = new Command("audit").description("read the log, and check that it is whole");
  showCommand(audit, machine);
  verifyCommand(audit, machine, provider);
  proveCommand(audit, machine);
  archiveCommand(audit, machine);
  audit.addCommand(exportCommand());
  audit.addCommand(reconcileCommand(machine.stdout));
  audit.addCommand(uiCommand(machine));
  return audit;
}
