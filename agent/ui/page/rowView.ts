import { type Child, facts, h } from "./dom.ts";
import { type Asking, approvalsOf, askingOf, newestOf, outcomeOf, type Row, stateOf, waitingOf } from "./history.ts";
import { codeOf, plain, STATE_SIGNS, STATE_WORDS, timeWords, titleOf } from "./words.ts";

/** What a row needs from elsewhere: the sentence of a rule, and whether a line is the one that was checked. */
export type Beside = {
  sentence(policy: string, rule: string): string | null;
  /** Null while the check did not come so far. */
  isChecked(index: number, line: string): Promise<boolean | null>;
};

/** A row of the timeline. What is in it is made when it is opened. */
export function rowView(row: Row, beside: Beside): HTMLLIElement {
  const state = stateOf(row);
  const asking = askingOf(row);
  const newest = newestOf(row);
  const code = codeOf(row);
  const rule = ruleOf(asking);
  const summary = h(
    "summary",
    {},
    newest === null ? null : h("time", { datetime: newest.time }, timeWords(newest.time)),
    h("span", { class: "state" }, h("span", { "aria-hidden": "true" }, STATE_SIGNS[state]), ` ${STATE_WORDS[state]}`),
    h("span", { class: "title" }, titleOf(row)),
    asking === null
      ? null
      : h("span", { class: "who" }, `${plain(asking.by.says.operator)}: ${plain(asking.by.says.why)}`),
    h("span", { class: "rule" }, [rule, code].filter((part) => part !== null).join(" · ")),
  );
  const details = h("details", {}, summary);
  details.addEventListener("toggle", () => {
    if (details.open && details.children.length === 1) details.append(inside(row, asking, beside));
  });
  return h("li", { class: "row", "data-state": state, "data-key": row.key }, details);
}

function ruleOf(asking: Asking | null): string | null {
  if (asking === null) return null;
  return asking.kind === "refused" ? asking.rule : asking.allowed.rule;
}

function inside(row: Row, asking: Asking | null, beside: Beside): HTMLElement {
  const outcome = outcomeOf(row);
  return h(
    "div",
    { class: "inside" },
    asking === null ? null : askedView(row, asking, beside),
    outcome === null ? null : outcomeView(outcome),
    h("h3", {}, "The log's lines"),
    ...row.entries.map(({ entry, line }) => lineView(entry.index, line, beside)),
  );
}

function askedView(row: Row, asking: Asking, beside: Beside): HTMLElement {
  const { says, key } = asking.by;
  const refused = asking.kind === "refused" ? asking : null;
  const approvals = approvalsOf(row).map(({ person, code, index }) =>
    h(
      "li",
      {},
      `${plain(person ?? "a key of nobody's")}, entry ${index}${code === null ? "" : `: does not count (${code})`}`,
    ),
  );
  const waiting = waitingOf(row);
  return facts([
    ["Claims to ask", plain(says.operator)],
    ["Claims why", plain(says.why)],
    ["Signed with", `key ${plain(key)}`],
    ["Asked", valuesView(asking.asked)],
    ["Found", foundView(asking)],
    ["Refused because", refused === null ? null : plain(refused.because)],
    ["Limit", refused?.limit == null ? null : plain(refused.limit)],
    ["Code", refused === null ? null : refused.code],
    ["Hint", refused === null ? null : plain(refused.hint)],
    [refused === null ? "Permitted by" : "Closest rule", ruleView(asking, beside)],
    [
      "Asked for approval",
      waiting === null ? null : `${waiting.approval.need} of ${waiting.approval.by.map(plain).join(", ")}`,
    ],
    ["Approvals", approvals.length === 0 ? null : h("ul", {}, ...approvals)],
    ["Command", asking.command],
  ]);
}

function foundView(asking: Asking): Child {
  if (asking.kind === "refused") return plain(asking.found ?? "not read");
  return valuesView(asking.found);
}

function ruleView(asking: Asking, beside: Beside): Child {
  const rule = ruleOf(asking);
  const policy = asking.kind === "refused" ? asking.policy : asking.allowed.policy;
  if (rule === null || policy === null) return "none";
  const sentence = asking.kind === "waiting" ? asking.sentence : beside.sentence(policy, rule);
  if (sentence !== null) return plain(sentence);
  return `${plain(rule)}, of a policy that is not at hand (${policy}): name its file with --policy`;
}

function valuesView(values: Readonly<Record<string, unknown>>): HTMLElement {
  return facts(
    Object.entries(values).map(([name, value]) => [
      plain(name),
      plain(Array.isArray(value) ? value.join(", ") : String(value)),
    ]),
  );
}

function outcomeView(outcome: NonNullable<ReturnType<typeof outcomeOf>>): HTMLElement {
  const changed = outcome.changed.map(({ what, from, to }) =>
    h("li", {}, `${plain(what)}: ${plain(from ?? "-")} → ${plain(to ?? "-")}`),
  );
  const heads = ["Operation", "Resource", "Request id", "Status", "ms", "Kind"].map((name) =>
    h("th", { scope: "col" }, name),
  );
  const rows = outcome.operations.map(({ operation, resource, request, status, milliseconds, changes }) =>
    h(
      "tr",
      { "data-good": status === "ok" },
      ...[operation, resource, request ?? "-", status, String(milliseconds), changes ? "change" : "read"].map((text) =>
        h("td", {}, plain(text)),
      ),
    ),
  );
  return h(
    "div",
    {},
    facts([
      ["Result", outcome.result + (outcome.code === null ? "" : ` (${plain(outcome.code)})`)],
      ["Known by", outcome.known_by],
      ["Changed", changed.length === 0 ? "nothing" : h("ul", {}, ...changed)],
    ]),
    rows.length === 0
      ? h("p", {}, "No operation was called.")
      : h(
          "div",
          { class: "wide", tabindex: "0", role: "region", "aria-label": `Cloud operations of entry ${outcome.index}` },
          h(
            "table",
            {},
            h("caption", {}, "Cloud operations"),
            h("thead", {}, h("tr", {}, ...heads)),
            h("tbody", {}, ...rows),
          ),
        ),
  );
}

function lineView(index: number, line: string, beside: Beside): HTMLElement {
  const mark = h("span", { class: "mark", "data-checked": "pending" }, "not checked yet");
  const show = (same: boolean | null): void => {
    mark.dataset["asked"] = "";
    mark.dataset["checked"] = same === null ? "pending" : same ? "yes" : "no";
    mark.textContent =
      same === null ? "not checked yet" : same ? "checked in this browser" : "NOT the line that was checked";
  };
  void beside.isChecked(index, line).then(show);
  return h(
    "figure",
    { class: "line" },
    h("figcaption", {}, `Entry ${index} `, mark),
    h("pre", { tabindex: "0", "aria-label": `Entry ${index} as it lies in the log` }, plain(line)),
  );
}
