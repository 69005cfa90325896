import type { Entry } from "../../audit/entry.ts";
import type { Rows } from "../shapes.ts";
import { h } from "./dom.ts";
import { filterForm } from "./filterForm.ts";
import { addLines, emptyHistory, newestOf, type Row } from "./history.ts";
import { type Beside, rowView } from "./rowView.ts";
import { timeWords } from "./words.ts";

/** Rows that are looked for at once; a long log is asked for part by part, and never read for the first look. */
const ROWS_AT_ONCE = 50;
/** Parts that are asked for without a person saying so, when a filter finds little. */
const MAX_PARTS = 200;

export type Asked = (filter: URLSearchParams, before: Rows["next"]) => Promise<Rows>;

/** The timeline below its filter. `change`: another filter was chosen. Resolves when the first rows stand. */
export async function timeline(
  main: HTMLElement,
  filter: URLSearchParams,
  asked: Asked,
  beside: Beside,
  change: (filter: URLSearchParams) => void,
): Promise<void> {
  const history = emptyHistory();
  const views = new Map<string, HTMLLIElement>();
  const list = h("ol", { class: "rows", reversed: true });
  const status = h("p", { class: "status", role: "status" });
  const older = h("button", { type: "button", hidden: true }, "Older");
  let next: Rows["next"] = null;
  main.replaceChildren(h("h2", {}, "Timeline"), filterForm(filter, change), list, status, older);

  async function more(): Promise<void> {
    older.disabled = true;
    main.setAttribute("aria-busy", "true");
    const aim = history.rows.size + ROWS_AT_ONCE;
    for (let part = 0; part < MAX_PARTS; part++) {
      const rows = await asked(filter, next);
      place([...addLines(history, rows.lines, read), ...addLines(history, rows.bad, () => null)]);
      next = rows.next;
      const back = rows.back === null ? "" : `, back to ${timeWords(rows.back)}`;
      const rowsText = history.rows.size === 1 ? "1 row" : `${history.rows.size} rows`;
      status.textContent = `${rowsText}${back}${next === null ? "; nothing is older" : ""}`;
      if (next === null || history.rows.size >= aim || !list.isConnected) break;
    }
    older.hidden = next === null;
    older.disabled = false;
    main.setAttribute("aria-busy", "false");
  }

  /** Puts rows where they belong: newest first. A row that changed is made anew, and stays open if it was. */
  function place(rows: readonly Row[]): void {
    for (const row of rows) {
      const view = rowView(row, beside);
      const former = views.get(row.key);
      views.set(row.key, view);
      if (former !== undefined) {
        const wasOpen = former.querySelector("details")?.open === true;
        former.replaceWith(view);
        const details = view.querySelector("details");
        if (wasOpen && details !== null) details.open = true;
      } else list.insertBefore(view, behind(row));
    }
  }

  /** The view of the next older row, before which this one stands; null at the end, where nearly all are put. */
  function behind(row: Row): HTMLLIElement | null {
    const index = newestOf(row)?.index ?? -1;
    let before: HTMLLIElement | null = null;
    for (let view = list.lastElementChild; view instanceof HTMLLIElement; view = view.previousElementSibling) {
      const other = history.rows.get(view.dataset["key"] ?? "");
      if (other === undefined || (newestOf(other)?.index ?? -1) > index) break;
      before = view;
    }
    return before;
  }

  older.addEventListener("click", () => void more());
  await more();
}

/** The server has judged what is an entry; its lines are of the closed schema. */
function read(line: string): Entry | null {
  return JSON.parse(line) as Entry;
}
