import type { Case } from "./case.ts";
import { AGENT_CASES } from "./cases/agent.ts";
import { COPY_CASES } from "./cases/copies.ts";
import { ENDING_CASES } from "./cases/endings.ts";
import { ENROL_CASES } from "./cases/enrol.ts";
import { HEAD_CASES } from "./cases/heads.ts";
import { LIMIT_CASES } from "./cases/limits.ts";
import { OPTIONAL_CASES } from "./cases/optional.ts";
import { POLL_CASES } from "./cases/polls.ts";
import { RENEWAL_CASES } from "./cases/renewals.ts";
import { REPORT_CASES } from "./cases/reports.ts";
import { REQUEST_CASES } from "./cases/requests.ts";
import { STATEMENT_CASES } from "./cases/statements.ts";
import { TLS_CASES } from "./cases/tls.ts";

/** Every case, in the order in which they are looked at: what comes first is what the later ones stand on. */
export const CASES: readonly Case[] = [
  ...TLS_CASES,
  ...ENROL_CASES,
  ...REQUEST_CASES,
  ...STATEMENT_CASES,
  ...REPORT_CASES,
  ...HEAD_CASES,
  ...POLL_CASES,
  ...ENDING_CASES,
  ...RENEWAL_CASES,
  ...COPY_CASES,
  ...LIMIT_CASES,
  ...OPTIONAL_CASES,
  ...AGENT_CASES,
];
