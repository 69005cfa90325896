import { timeText } from "../audit/time.ts";
import type { LogFact, ProviderFact, StatusFact } from "./facts.ts";
import { fail, type Line, ok, size, warn } from "./line.ts";

export function logLines(log: LogFact): Line[] {
  switch (log.state) {
    case "none":
      return [ok("log", log.folder, "none yet: joining begins it")];
    case "closed":
      return [
        fail(
          "log",
          log.folder,
          `it cannot be read (${log.code})`,
          `ls -ld ${log.folder}; it must be the agent's own. Run doctor as root or as the agent's user.`,
        ),
      ];
    case "damaged":
      return [fail("log", "against its last head", log.because, log.hint)];
    case "long":
      return [
        warn(
          "log",
          log.folder,
          `its newest part is over ${size(log.limit)} and was not read`,
          "To read all of it: reeve audit verify --ca FILE",
        ),
      ];
    case "whole":
      return [wholeLine(log)];
  }
}

function wholeLine(log: Extract<LogFact, { state: "whole" }>): Line {
  const begun = log.open === 0 ? "" : `; ${log.open} commands are under way`;
  if (log.head === null)
    return log.size === 0
      ? ok("log", log.folder, "empty")
      : warn("log", log.folder, `${log.size} entries, and no signed head yet`, "The next start signs one.");
  const by = log.held
    ? "signed by this agent's key"
    : "whose signature was not held to a key, for this machine has no identity";
  const found = `${log.size} entries; they are those of the newest head, of size ${log.head.size} at ${timeText(log.head.time)}, ${by}${begun}`;
  if (log.torn)
    return warn(
      "log",
      log.folder,
      `${found}; after them stand bytes of a write that did not end`,
      "Nothing, while the agent runs: it may be writing. Else the next start moves them aside and records it.",
    );
  return ok("log", log.folder, `${found}. Only the newest part was read; all of it: reeve audit verify`);
}

export function contactLines(status: StatusFact): Line[] {
  if (status.state === "none")
    return [
      warn(
        "contact",
        status.path,
        "the agent does not run, and has not run since the machine started",
        "systemctl start reeve; or by hand: reeve run",
      ),
    ];
  if (status.state === "unreadable") return [warn("contact", status.path, "it cannot be read", `ls -l ${status.path}`)];
  const state = `${status.says}${status.reason === "" ? "" : `: ${status.reason}`}`;
  if (!status.alive)
    return [
      warn(
        "contact",
        "the agent",
        `it does not run; the last that it said is ${state}`,
        "systemctl status reeve; journalctl -u reeve; then: systemctl start reeve",
      ),
    ];
  const who = `the agent, pid ${status.pid}`;
  const lines: Line[] = [];
  if (status.says === "fenced" || status.says === "stopped")
    lines.push(fail("contact", who, `it says ${state}`, "journalctl -u reeve"));
  else if (status.says === "refusing")
    lines.push(
      fail("contact", who, `it refuses every command: ${status.reason}`, "See the lines `policy` and `clock`."),
    );
  else if (status.says === "enrolling")
    lines.push(warn("contact", who, "it is joining", "See the lines `endpoint`, `tls-pin` and `enrolment`."));
  if (status.contact !== null)
    lines.push(
      fail(
        "contact",
        who,
        `no contact with the control plane since ${status.contact.since} (${status.contact.reason})`,
        "See the lines `proxy`, `tls-pin` and `endpoint`: they were tried just now. Nothing is changed meanwhile, and applications go on.",
      ),
    );
  if (lines.length > 0) return lines;
  return [ok("contact", who, `it says ${state}, and the control plane answers it`)];
}

export function providerLines(provider: ProviderFact): Line[] {
  const { name } = provider;
  if ("unknown" in provider)
    return [
      warn("provider", name, `whether it can be used is not known: ${provider.unknown}`, "Try again; or look by hand."),
    ];
  if (provider.parts.length === 0)
    return [
      warn(
        "provider",
        name,
        "the config names no group, authority or zone: no rule can be carried out",
        "Name them in the config.",
      ),
    ];
  return provider.parts.map(({ what, ok: good, because, hint }) => {
    const part = `${name} ${what}`;
    if (good === false) return fail("provider", part, because, hint);
    // Nothing is to be done about what nobody asked to have found out.
    return good === "unknown" && hint !== "" ? warn("provider", part, because, hint) : ok("provider", part, because);
  });
}
